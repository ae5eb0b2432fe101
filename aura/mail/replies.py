"""What somebody wrote in a reply: without the mail they answered, and without their signature.

By line and in linear time. When nothing would be left, all of it is kept: to show too much is better than to lose a word.
"""

from __future__ import annotations

import re

#: Lines that come before what is quoted, in English, German, French, Spanish, Italian, Dutch.
_WROTE = re.compile(
    r"(?:On|Am|Le|El|Il|Op)\s.{1,400}(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef)(?:\s.{0,200})?\s?:\s*",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(
    r"\s*(?:-{2,}\s?(?:Original Message|Ursprüngliche Nachricht|Originalnachricht|Message d'origine|Mensaje original|"
    r"Messaggio originale|Forwarded message)\s?-{2,}|_{20,})\s*",
    re.IGNORECASE,
)
#: The block of headers that Outlook puts above what it quotes.
_FROM = re.compile(r"\*?(?:From|Von|De|Da|Van)\s?:\*?\s.{1,400}", re.IGNORECASE)
_SENT = re.compile(r"\*?(?:Sent|Gesendet|Date|Datum|Envoyé|Enviado|Inviato|Verzonden)\s?:\*?\s.{1,200}", re.IGNORECASE)
_PHONE = re.compile(r"(?:Sent from|Get Outlook for|Gesendet von|Von meinem|Envoyé de)\s.{1,80}", re.IGNORECASE)
#: Characters of a line that are looked at.
_LINE = 700


def trim(text: str) -> str:
    """Return what is new in a reply; answers that stand between quoted lines are kept, the quoted lines go."""
    lines = text.split("\n")
    kept: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at][:_LINE].strip()
        if line == "--" or _ORIGINAL.fullmatch(line) or _headed(lines, at):
            break
        if taken := _attribution(lines, at):
            following = next((each.strip() for each in lines[at + taken :] if each.strip()), "")
            if not following.startswith(">"):
                break  # a mail program that quotes without marks: all of the rest is the other mail
            at += taken
            continue
        if not line.startswith(">"):
            kept.append(lines[at])
        at += 1
    while kept and (not kept[-1].strip() or _PHONE.fullmatch(kept[-1].strip()[:_LINE])):
        kept.pop()
    said = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
    return said or text.strip()


def _attribution(lines: list[str], at: int) -> int:
    """Return how many lines say who wrote what follows: none, one, or two when the line is broken."""
    first = lines[at][:_LINE].strip()
    if _WROTE.fullmatch(first):
        return 1
    broken = at + 1 < len(lines) and len(first) > 10 and _WROTE.fullmatch(f"{first} {lines[at + 1][:_LINE].strip()}")
    return 2 if broken else 0


def _headed(lines: list[str], at: int) -> bool:
    if not _FROM.fullmatch(lines[at][:_LINE].strip()):
        return False
    return any(_SENT.fullmatch(line[:_LINE].strip()) for line in lines[at + 1 : at + 4])
