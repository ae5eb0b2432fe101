"""Ticket text made safe to store, to show and to compare.

``clean`` and ``clean_line`` take any ``str`` and return text that every database, mail header and terminal accepts.
``html_to_text`` turns an HTML mail into plain text. All are linear in the length of the text and never raise.
"""

from __future__ import annotations

import html
import re
import unicodedata

#: Longest run of combining marks that is kept; sorting longer runs costs Unicode normalisation quadratic time.
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
    kept: list[str] = []
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= _MARKS:
            kept.append(character)
    return "".join(kept)


def clean(text: str, limit: int) -> str:
    """Return the text in Unicode NFC, without what cannot be stored or seen, at most ``limit`` characters long.

    NUL, control characters (newline and tab stay), lone surrogates, bidi overrides and zero-width characters go;
    newlines become ``\\n``, runs of blank lines one blank line. Cleaning twice changes nothing.
    """
    # a generous first cut bounds the work; NFC and the dropped characters need some slack
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
    """Return whether anything a person could read is in the text."""
    return any(character.isalnum() for character in text)


def html_to_text(text: str) -> str:
    """Return the text without its HTML tags when it looks like HTML, else unchanged.

    Script, style and comments are dropped, block tags become newlines, entities are decoded. Not ``html.parser``: on
    unclosed tags and comments that one takes quadratic time, so that 100 kB of ``<!--`` would hold a worker.
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
