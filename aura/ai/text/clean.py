"""Text cleaning: makes any text safe to store, to show and to compare, and converts HTML to plain text.

``clean`` and ``clean_line`` return text that every database, mail header and terminal accepts. All functions take linear time
and never raise.
"""

from __future__ import annotations

import html
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

_LOOKS_HTML = re.compile(
    r"<(?:!doctype\s+html|/?(?:html|head|body|div|p|br|span|table|tr|td|ul|ol|li|a|b|i|strong|em|font|h[1-6]|img|"
    r"script|style|pre|blockquote|hr)\b[^<>]{0,2000}>)",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})(?=[\s/>])[^<>]{0,4000}>|<!--|<![^<>]{0,4000}>")
_END = {name: re.compile(rf"</{name}\b[^<>]{{0,100}}>", re.IGNORECASE) for name in ("script", "style", "title")}
_BREAKS = re.compile(r"br|p|div|li|tr|[uo]l|table|h[1-6]|hr|pre|blockquote|section|article")
_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{8,};?")


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


def html_to_text(text: str) -> str:
    """Return the text without HTML tags if it looks like HTML, else unchanged.

    Scripts, styles and comments are removed, block tags become newlines, entities are decoded. ``html.parser`` is not used: it
    takes quadratic time for unclosed tags and comments, so 100 kB of ``<!--`` would block a worker.
    """
    if not _LOOKS_HTML.search(text):
        return text
    parts: list[str] = []
    at = 0
    comments = True
    while match := _TAG.search(text, at):
        parts.append(text[at : match.start()])
        at = match.end()
        name = (match.group(2) or "").lower()
        if match.group() == "<!--":
            end = text.find("-->", at) if comments else -1
            comments = end >= 0
            at = end + 3 if comments else at
        elif name in _END and not match.group(1):
            closing = _END[name].search(text, at)
            at = closing.end() if closing else len(text)
        elif _BREAKS.fullmatch(name):
            parts.append("\n")
        elif name in ("td", "th"):
            parts.append(" ")
    parts.append(text[at:])
    plain = html.unescape(_LONG_REFERENCE.sub("", "".join(parts))).replace("\xa0", " ")
    lines = [" ".join(line.split()) for line in plain.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
