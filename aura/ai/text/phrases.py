"""Many regular expressions that are quick to look for.

At each place of a text an alternation tries its options one after the other. Sorted by their first letter, and again by
the second and so on, only the options of the letters that stand there are tried, and groups that capture nothing cost a
fifth of those that do. ``Phrases`` remembers for each word which options can begin in it, and tries no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from aura.ai.text.memo import Memo

#: An escape, a set, or any other single character.
_ATOM = re.compile(r"\\.|\[[^\]]*\]|.")
_CAPTURES = re.compile(r"(\\.|\[[^\]]*\])|\((?!\?)")
_REPEATED = re.compile(r"[*+{]|\?[?+]")
_LETTER = re.compile(r"(\\b)?([a-z])(?![?*+{])")
#: What of an option is within one word for certain: letters and marks, sets and groups of them, however often.
_IN_A_WORD = re.compile(r"(?:(?:\\[bdw]|[\w'\"-]|\[[\w'-]+\]|\(\?:[\w'|-]+\))(?:[?*+]|\{[\d,]+\})?\??)*")
_BLANK = re.compile(r" (?![?*{])")


class Phrase(NamedTuple):
    """An expression with its rank; ``around`` is the same for all of a rank, and says what else must hold, with a {}."""

    rank: int
    pattern: str
    around: str = "{}"


class _Option(NamedTuple):
    #: In the order in which they were given.
    number: int
    head: re.Pattern[str]
    phrase: Phrase


class Phrases:
    """Expressions that are looked for in spaced texts: in lower case, with one blank between any two words."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        #: By the letter that they begin with; "" for those that begin otherwise.
        self._options: dict[str, list[_Option]] = {}
        options = [
            phrase._replace(pattern=option)
            for phrase in phrases
            for option in _options(without_captures(phrase.pattern))
        ]
        heads: dict[str, list[str]] = {}
        for number, phrase in enumerate(options):
            head, letter = _head(phrase.pattern), _LETTER.match(phrase.pattern)
            heads.setdefault(phrase.around, []).append(head)
            self._options.setdefault(letter[2] if letter else "", []).append(_Option(number, re.compile(head), phrase))
        self._begun = re.compile("|".join(around.format(f"(?=(?:{any_of(some)}))") for around, some in heads.items()))
        self._memo = Memo(self._within)

    def found(self, text: str) -> Iterator[tuple[int, re.Match[str]]]:
        """Yield the rank and the match of all that a spaced text has, in the order of the places."""
        words = text.split(" ")
        begun = list(map(self._memo.__getitem__, words))
        if not any(begun):
            return
        start = 0
        for word, places in zip(words, begun, strict=True):
            if places:
                for place, rank, pattern in places:
                    if match := pattern.match(text, start + place):
                        yield rank, match
            start += len(word) + 1

    def _within(self, word: str) -> tuple[tuple[int, int, re.Pattern[str]], ...]:
        """Return where in a word options may begin, as far as that word alone tells, and those of each rank."""
        within = []
        for place in [begun.start() for begun in self._begun.finditer(word)]:
            fitting: dict[tuple[int, str], list[str]] = {}
            letters = {word[place : place + 1], ""}
            for option in sorted(option for letter in letters for option in self._options.get(letter, ())):
                if option.head.match(word, place):
                    rank, pattern, around = option.phrase
                    fitting.setdefault((rank, around), []).append(pattern)
            for (rank, around), options in sorted(fitting.items()):
                within.append((place, rank, _compiled(around, tuple(options))))
        return tuple(within)


@cache
def _compiled(around: str, options: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(around.format(f"(?:{any_of(options)})"))


def _head(option: str) -> str:
    """Return what an option asks of the word that it begins in."""
    found = _IN_A_WORD.match(option)
    end = found.end() if found else 0
    return option[:end] + ("$" if _BLANK.match(option, end) else "")


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
