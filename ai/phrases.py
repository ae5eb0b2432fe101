"""Many regular expressions made one that is quick to search for.

At each place of a text an alternation tries its options one after the other. Sorted by their first letter, and again by
the second and so on, only the options of the letters that stand there are tried, and groups that capture nothing cost a
fifth of those that do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

#: An escape, a set, or any other single character.
_ATOM = re.compile(r"\\.|\[[^\]]*\]|.")
_CAPTURES = re.compile(r"(\\.|\[[^\]]*\])|\((?!\?)")
_REPEATED = re.compile(r"[*+{]|\?[?+]")
_LETTER = re.compile(r"(\\b)?([a-z])(?![?*+{])")


def without_captures(pattern: str) -> str:
    """Return the pattern with groups that only group."""
    return _CAPTURES.sub(lambda found: found[1] or "(?:", pattern)


def any_of(patterns: Iterable[str]) -> str:
    """Return a pattern found where any of the patterns is, though which of several that match there is not promised."""
    options: dict[str, list[str]] = {}
    for pattern in patterns:
        for option in _options(without_captures(pattern)):
            start = _LETTER.match(option)
            letter, rest = (start[2], option[start.end() :]) if start else ("", option)
            if start and start[1]:
                rest = rf"(?<=\b{letter}){rest}"
            options.setdefault(letter, []).append(rest)
    return "|".join(
        f"{letter}(?:{any_of(rests) if letter and len(rests) > 1 else '|'.join(rests)})"
        for letter, rests in options.items()
    )


def _options(pattern: str) -> Iterator[str]:
    """Yield "red car" and "blue car" for "(?:red|blue) car", and a pattern without such a beginning as it is."""
    for option in _split(pattern):
        border, group = (r"\b", option[2:]) if option.startswith(r"\b") else ("", option)
        inside, rest = _cut(group)
        if inside is None or _REPEATED.match(rest):
            yield option
            continue
        optional = rest[:1] == "?"
        rest = rest[1:] if optional else rest
        yield from (border + chosen + rest for chosen in _options(inside))
        if optional:
            yield from (border + without for without in _options(rest))


def _split(pattern: str) -> list[str]:
    """Return the parts between the bars that are in no group."""
    parts, depth = [""], 0
    for atom in _ATOM.findall(pattern):
        depth += (atom == "(") - (atom == ")")
        if atom == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += atom
    return parts


def _cut(pattern: str) -> tuple[str | None, str]:
    """Return what is inside the group that a pattern begins with, and the rest."""
    depth = 0
    for atom in _ATOM.finditer(pattern if pattern.startswith("(?:") else ""):
        depth += (atom[0] == "(") - (atom[0] == ")")
        if not depth:
            return pattern[3 : atom.start()], pattern[atom.end() :]
    return None, pattern
