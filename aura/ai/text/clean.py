"""Text cleaning: makes any text safe to store, to show and to compare.

``clean`` and ``clean_line`` return text that every database, mail header and terminal accepts. All functions take linear time
and never raise.
"""

from __future__ import annotations

import re
import unicodedata

#: Longest run of combining marks; longer runs are cut, because Unicode normalisation takes quadratic time for them.
_MARKS = 8
_INVISIBLE = [
    (0x0000, 0x0008),
    (0x000E, 0x001F),
    (0x007F, 0x0084),
    (0x0086, 0x009F),
    (0x00AD, 0x00AD),
    (0x061C, 0x061C),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB),
    (0xE0000, 0xE007F),
]
_TABLE: dict[int, str | None] = {code: None for first, last in _INVISIBLE for code in range(first, last + 1)}
_TABLE |= {0x000B: "\n", 0x000C: "\n", 0x0085: "\n", 0x2028: "\n", 0x2029: "\n"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def _few_marks(text: str) -> str:
    characters: list[str] = []
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= _MARKS:
            characters.append(character)
    return "".join(characters)


def clean(text: str, limit: int) -> str:
    """Return the text in Unicode NFC without invalid and invisible characters, at most ``limit`` characters long.

    NUL, control characters (except newline and tab), lone surrogates, bidi overrides and zero-width characters are removed;
    newlines become ``\\n``, runs of blank lines one blank line. Cleaning twice changes nothing.
    """
    # the first cut bounds the work and leaves room for removed characters
    text = text[: 4 * limit + 1000].replace("\r\n", "\n").replace("\r", "\n").translate(_TABLE)
    if not text.isascii():
        text = _few_marks(unicodedata.normalize("NFC", _few_marks(_SURROGATE.sub("", text))))
    lines: list[str] = []
    for line in text.split("\n"):
        line = line.rstrip()
        if line or (lines and lines[-1]):
            lines.append(line)
    text = "\n".join(lines).strip()
    return text[:limit].strip()


def clean_line(text: str, limit: int) -> str:
    """Return the text as one clean line of at most ``limit`` characters, fit for a title or a mail subject."""
    return " ".join(clean(text, 4 * limit).split())[:limit].strip()


def has_text(text: str) -> bool:
    """Return whether the text has a letter or a digit."""
    return any(character.isalnum() for character in text)
