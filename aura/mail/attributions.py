"""Recognises the line above a quote that names its author ("On Monday, Ann wrote:"), on one to four lines.

Two kinds of evidence count, apart from the words of one language: an address or a verb of writing, and a date. A line that
no quote mark follows needs a date with a time, and the address or the name of somebody to whom the reply is addressed, because
what follows it is removed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aura.mail.quoted_headers import ADDRESS

#: Lines, and characters, of the longest attribution.
MAX_LINES, MAX_LENGTH = 4, 500

_VERB = re.compile(
    r"(?<!\w)(?:wrote|writes|quoting|zitat von|citando|citerar|citation de|вы писали|"
    r"schrieb|a écrit|escribió|ha scritto|schreef|geschreven|geschrieben|escreveu|"
    r"napisał(?:\(a\)|a)?|pisze|"
    r"написала?(?:\(а\))?|пишет|пише|написав|skrev|kirjoitti|napsala?(?:\(a\))?|napísala?|yazdı|írta|a scris|έγραψε|skrifaði|"
    r"va escriure|đã viết|menulis|rašė|rakstīja|kirjutas|napisao|написао(?:/ла)?|написа)(?!\w)"
    r"|写道|寫道|のメール|さんは書きました|님이 작성|작성:|כתב|كتب|كتابة|نوشت|เขียนว่า|लिखा",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)|(?<!\d)\d{1,2}[./-]\s?\d{1,2}[./-]\s?\d{2}(?!\d)")
_TIME = re.compile(r"(?<!\d)\d{1,2}[:.]\d{2}(?!\d)")
_FIRST_PERSON = re.compile(
    r"(?<!\w)(?:I|[Ww]e|[Ii]ch|[Ww]ir|[Jj]e|[Nn]ous|[Yy]o|[Ii]o|[Ii]k|[Ww]ij|[Ee]u|[Jj]ag|[Jj]eg|[Mm]y|[Mm]eine?r?|"
    r"mon|Mon(?! [A-Z\d]|[,.]))(?!\w)"
    r"|[Jj]['’]ai"
)
#: A name that begins like this names nobody: "The page wrote:".
_NO_NAME = re.compile(
    r"(?:the|a|an|my|our|his|her|their|this|it|he|she|they|der|die|das|ein|eine|mein|meine|unser|unsere|er|sie|le|la|"
    r"les|un|une|mon|ma|"
    r"notre|il|elle|el|los|mi|su|lo|gli|i|o|os|as|um|uma|de|het|een|mijn|den|det|en|min)\s",
    re.IGNORECASE,
)
#: A sentence ends inside, so the line is not only an attribution.
_SENTENCE = re.compile(r"[!?]\s|[^\W\d_]{3,}\.\s+[A-ZÀ-ÞА-Я]")
_DASHED = re.compile(r"-{2,}\s?(\S.{5,300}?)\s?-{2,}")
_GROUPWISE = re.compile(r">>>\s?(\S.{3,200}?)\s?>>>")
#: The hyphens, minus signs and lines of a rule; Proton writes U+2010.
DASHES = r"[-=_*\u2010-\u2015\u2500]"
#: Titles above a quote, which is marked or has headers.
_TITLE = re.compile(
    rf"{DASHES}{{2,}}\s?(?:original message|ursprüngliche nachricht|originalnachricht|message d['’]origine|mensaje original|"
    r"messaggio originale|"
    r"oorspronkelijk bericht|mensagem original|oryginalna wiadomość|исходное сообщение|ursprungligt meddelande|"
    r"oprindelig (?:besked|meddelelse)|opprinnelig melding|alkuperäinen viesti|původní (?:zpráva|e-mail)|eredeti üzenet|"
    r"orijinal mesaj|mesajul original|原始邮件|原始郵件|元のメッセージ|원본 메[일시]지?)"
    rf"\s?{DASHES}{{2,}}",
    re.IGNORECASE,
)
#: Beginnings of attributions that are wrapped: "On", or a date.
_OPENER = re.compile(
    r"[\"'*]?(?:On|Am|Le|El|Il|Op|Em|Den|At|In data|W dniu|Dnia|Dne|På|Pe|Vào|Στις|\d|"
    r"[^\W\d_]{2,12}[.,]{1,2}\s?\d|[^\W\d_]{2,12}\s\d)"
)
#: A date, a name and an address without a verb, as Yandex and Gmail write in some languages.
_DATE_AND_ADDRESS = re.compile(
    r"[\"'*]?(?:\d|[^\W\d_]{2,12}[.,]{1,2}\s?\d)[^<>]{4,200}<[^<>@\s]{1,64}@[^<>@\s]{1,190}>\s?[:：]"
)


@dataclass(frozen=True, slots=True)
class Attribution:
    """An attribution: its lines, and whether the quote after it needs no quote marks."""

    start: int
    end: int
    text: str
    #: A date with a time and a verb, or with an address behind it: mail programs write it, and people do not.
    certain: bool

    @property
    def addresses(self) -> list[str]:
        """The addresses in it, in lower case."""
        return [each.strip(".'").lower() for each in ADDRESS.findall(self.text)]


def attribution_ending(lines: Sequence[str], end: int) -> Attribution | None:
    """Return the attribution whose last line this is, else None."""
    last = lines[end].strip().rstrip("*_ \xa0")
    if len(last) > MAX_LENGTH:
        return None
    if dashed := _DASHED.fullmatch(last) or _GROUPWISE.fullmatch(last):
        text = dashed[1]
        named, timed = ADDRESS.search(text), _TIME.search(text)
        if last[0] == ">":
            return Attribution(end, end, text, certain=True) if named and timed else None
        if _VERB.search(text) and (named or _YEAR.search(text)):
            return Attribution(end, end, text, certain=bool(named and timed))
    if _TITLE.fullmatch(last):
        return Attribution(end, end, last, certain=False)
    if not last.endswith((":", "：")):
        return None
    found: Attribution | None = None
    for start in range(end, max(end - MAX_LINES, -1), -1):
        line = lines[start].strip()
        if not line or line.startswith(">") or (start < end and line.endswith((":", "!", "?"))):
            break
        text = _joined(lines, start, end)
        if len(text) > MAX_LENGTH:
            break
        if found is None:
            found = _complete(text, start, end)
        elif _continues(found.text, lines, start):
            found = _complete(text, start, end) or found
    return found


def _continues(text: str, lines: Sequence[str], above: int) -> bool:
    """Return whether a wrapped attribution begins above its text: with the date, or with the name of an address."""
    line = lines[above].strip()
    if not _YEAR.search(text) and _YEAR.search(line) and _OPENER.match(line):
        return True
    return text.startswith("<") and _is_name(line) and (above == 0 or not lines[above - 1].strip())


def quoted_attribution(line: str) -> bool:
    """Return whether a line inside a quote is an attribution: Apple Mail puts the quote marks before it, too."""
    text = line.lstrip("> ").strip()
    if _TITLE.fullmatch(text[:MAX_LENGTH]):
        return True
    return bool(text.endswith((":", "：")) and len(text) <= MAX_LENGTH and _complete(text, 0, 0))


def _joined(lines: Sequence[str], start: int, end: int) -> str:
    text = " ".join(line.strip()[:MAX_LENGTH] for line in lines[start : end + 1])
    return text.replace("< ", "<").rstrip("*_ \xa0")


def _complete(text: str, start: int, end: int) -> Attribution | None:
    if _SENTENCE.search(text):
        return None
    verb, address, year = _VERB.search(text), ADDRESS.search(text), _YEAR.search(text)
    named = verb and (
        _is_name(text[: verb.start()]) or (verb.start() == 0 and _is_name(text[verb.end() :].rstrip(" :：")))
    )
    if not (named or (verb and (address or year)) or (address and year)):
        return None
    written = verb or _DATE_AND_ADDRESS.fullmatch(text)
    certain = written and year and _TIME.search(text) and not _FIRST_PERSON.search(text)
    return Attribution(start, end, text, bool(certain))


def _is_name(text: str) -> bool:
    words = text.split()
    return 0 < len(words) <= 6 and not _NO_NAME.match(text.strip() + " ") and not _FIRST_PERSON.search(text)
