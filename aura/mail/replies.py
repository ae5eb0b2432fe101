"""Removes the quoted mail and the signature from a reply, line by line, in linear time.

When nothing would be left, the whole text is returned: no text of a requester may be lost.
"""

from __future__ import annotations

import re

#: Lines that introduce a quote, in English, German, French, Spanish, Italian and Dutch.
_WROTE = re.compile(
    r"(?:On|Am|Le|El|Il|Op)\s.{1,400}(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef)(?:\s.{0,200})?\s?:\s*",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(
    r"\s*(?:-{2,}\s?(?:Original Message|Ursprüngliche Nachricht|Originalnachricht|Message d'origine|Mensaje original|"
    r"Messaggio originale|Forwarded message)\s?-{2,}|_{20,})\s*",
    re.IGNORECASE,
)
#: First lines of the headers that Outlook writes above a quote.
_FROM = re.compile(r"\*?(?:From|Von|De|Da|Van)\s?:\*?\s.{1,400}", re.IGNORECASE)
_SENT = re.compile(r"\*?(?:Sent|Gesendet|Date|Datum|Envoyé|Enviado|Inviato|Verzonden)\s?:\*?\s.{1,200}", re.IGNORECASE)
_APP_SIGNATURE = re.compile(r"(?:Sent from|Get Outlook for|Gesendet von|Von meinem|Envoyé de)\s.{1,80}", re.IGNORECASE)
#: Characters of a line that are examined.
_LINE = 700


def strip_quotes(text: str) -> str:
    """Return the new text of a reply; answers between quoted lines stay."""
    lines = text.split("\n")
    new: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at][:_LINE].strip()
        if line == "--" or _ORIGINAL.fullmatch(line) or _starts_headers(lines, at):
            break
        if length := _attribution(lines, at):
            following = next((each.strip() for each in lines[at + length :] if each.strip()), "")
            if not following.startswith(">"):
                break  # a quote without marks extends to the end
            at += length
            continue
        if not line.startswith(">"):
            new.append(lines[at])
        at += 1
    while new and (not new[-1].strip() or _APP_SIGNATURE.fullmatch(new[-1].strip()[:_LINE])):
        new.pop()
    stripped = re.sub(r"\n{3,}", "\n\n", "\n".join(new)).strip()
    return stripped or text.strip()


def _attribution(lines: list[str], at: int) -> int:
    """Return the number of lines of an attribution ("Ann wrote:") here: 0, 1, or 2 when it is wrapped."""
    first = lines[at][:_LINE].strip()
    if _WROTE.fullmatch(first):
        return 1
    wrapped = at + 1 < len(lines) and len(first) > 10 and _WROTE.fullmatch(f"{first} {lines[at + 1][:_LINE].strip()}")
    return 2 if wrapped else 0


def _starts_headers(lines: list[str], at: int) -> bool:
    if not _FROM.fullmatch(lines[at][:_LINE].strip()):
        return False
    return any(_SENT.fullmatch(line[:_LINE].strip()) for line in lines[at + 1 : at + 4])
