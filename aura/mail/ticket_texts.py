"""Compares quotes of a reply with the texts of its ticket, which proves that they are quotes."""

from __future__ import annotations

from collections.abc import Sequence

#: Characters of the texts that are compared, and comparisons of one reply with them, so that a hostile reply costs little.
MAX_TEXT, MAX_COMPARISONS = 200_000, 300
#: Letters of a part of a line that proves a quote; shorter ones must be a whole line of the ticket.
MIN_LETTERS = 20


class TicketTexts:
    """The description, comments and notifications of a ticket, without white space and upper case."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        whole = "\n\0\n".join(texts)[:MAX_TEXT]
        self._lines = frozenset(map(_letters, whole.split("\n")))
        self._text = _letters(whole)
        self._left = MAX_COMPARISONS

    def marked_quote(self, lines: Sequence[str], at: int) -> int:
        """Return the number of lines from here on with quote marks, if together they are a text of the ticket; else 0."""
        if not lines[at].startswith(">") or (at and lines[at - 1].startswith(">")):
            return 0
        end = at
        while end < len(lines) and lines[end].startswith(">"):
            end += 1
        return end - at if self._has(_letters("".join(line.lstrip("> ") for line in lines[at:end]))) else 0

    def unmarked_quote(self, lines: Sequence[str], at: int) -> int:
        """Return the number of lines from here on that are texts of the ticket; 0 for a single short line."""
        end, joined = at, ""
        for number in range(at, len(lines)):
            letters = _letters(lines[number])
            if letters and not (self._counted() and joined + letters in self._text):
                break
            joined += letters
            end = number + 1 if letters else end
        return end - at if len(joined) >= MIN_LETTERS else 0

    def _has(self, letters: str) -> bool:
        if not letters or not self._counted():
            return False
        return letters in self._lines or (len(letters) >= MIN_LETTERS and letters in self._text)

    def _counted(self) -> bool:
        self._left -= 1
        return self._left >= 0


def _letters(text: str) -> str:
    return "".join(text.split()).casefold()
