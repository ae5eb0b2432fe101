"""Word lists and phrases as text files that a service desk can edit; ``#`` begins a comment line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

#: A group that captures. Groups in these files only group, and capturing them costs four times as much.
_CAPTURING_GROUP = re.compile(r"(?<!\\)\((?!\?)")


def lines(name: str) -> list[str]:
    """Return the lines of a file of this folder, without comments and empty lines."""
    content = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return [line for line in content.splitlines() if line and not line.startswith("#")]


def words(name: str) -> frozenset[str]:
    """Return the words of a file of this folder."""
    return frozenset(" ".join(lines(name)).split())


def alternation(patterns: list[str]) -> str:
    """Return a regular expression that matches where one of the patterns matches, without capturing groups.

    The alternatives are grouped by their first letter, because ``re`` tries them one after the other: a tenth of the time.
    """
    by_letter: dict[str, list[str]] = {}
    others: list[str] = []
    for pattern in patterns:
        for variant in _variants(_CAPTURING_GROUP.sub("(?:", pattern)):
            if variant[:1].isalnum() and variant[1:2] not in _QUANTIFIERS:
                by_letter.setdefault(variant[0], []).append(variant[1:])
            else:
                others.append(variant)
    grouped = [f"{letter}(?:{'|'.join(rests)})" for letter, rests in by_letter.items()]
    return f"(?:{'|'.join([*grouped, *others])})"


_QUANTIFIERS = ("?", "*", "+", "{")
#: Variants of a pattern that begins with groups; a pattern with more stays as it is.
_MOST_VARIANTS = 200


def _variants(pattern: str) -> list[str]:
    """Return patterns that match the same together and do not begin with a group: "(a|b) c" is "a c" and "b c"."""
    done: list[str] = []
    open_ones = _alternatives(pattern)
    while open_ones:
        if len(done) + len(open_ones) > _MOST_VARIANTS:
            return [pattern]
        one = open_ones.pop()
        end = _end_of_group(one) if one.startswith("(?:") else 0
        following = one[end + 1 : end + 2]
        if not end or following in _QUANTIFIERS[1:]:
            done.append(one)
            continue
        rest = one[end + 1 + (following == "?") :]
        open_ones += [each + rest for each in [*_alternatives(one[3:end]), *([""] if following == "?" else [])]]
    return done


def _alternatives(pattern: str) -> list[str]:
    """Return the parts of a pattern between the bars that are in no group."""
    parts, start = [], 0
    for at, depth in _depths(pattern):
        if pattern[at] == "|" and depth == 0:
            parts.append(pattern[start:at])
            start = at + 1
    return [*parts, pattern[start:]]


def _end_of_group(pattern: str) -> int:
    """Return the place of the parenthesis that ends the group at the beginning of a pattern, 0 without one."""
    return next((at for at, depth in _depths(pattern) if pattern[at] == ")" and depth == 0), 0)


def _depths(pattern: str) -> Iterator[tuple[int, int]]:
    """Yield each character that is no part of an escape or a set, and in how many groups it is."""
    depth, at = 0, 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 2
            continue
        if char == "[":
            at = pattern.index("]", at + 2)
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            yield at, depth
            at += 1
            continue
        yield at, depth
        at += 1
