"""Content of a ticket: its text without quotes, signatures, footers, fields of forms, headers, greetings and politeness.

    content("RE: Printer", "Hi all,\\nthe printer jams.\\nBest regards\\nAnn\\nThis e-mail is confidential ...")
    ->  Content("Printer", "the printer jams.")

Classification, duplicates, similar tickets, summaries and incidents read the content alone. A text of such parts alone is
its own content, so that nothing is lost. The time is linear in the length of the text.

Own code: mail-parser-reply and talon find quotes of replies, and neither disclaimers, forms nor greetings; mail-parser-
reply takes quadratic time (see ``aura.mail.replies``). Sentences are divided by a library, see
``aura.ai.text.content.sentences``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from aura.ai.text.content import learned
from aura.ai.text.content.footers import is_banner, is_footer, may_have_footer, statements
from aura.ai.text.content.lines import (
    header_name,
    is_farewell,
    is_forward,
    is_politeness,
    is_postscript,
    is_signature_line,
    is_sure_header,
    is_thanks,
    is_title_of_quote,
    labels,
    without_greeting,
    without_prefix,
)
from aura.ai.text.content.sentences import sentences_of_line
from aura.ai.text.normalize import places, plain

__all__ = ["Content", "content", "content_of", "content_of_lines"]

#: Characters of a description that are read.
READ = 8_000
#: Sentences that are read to recognise a footer.
FOLLOWING = 5
#: Characters of a text of one line that has no room for a footer.
SHORT = 120
#: Words of the author above a quoted mail from which on the mail is not read.
OWN_WORDS = 6
#: Tickets whose content is cached: several steps ask for the same one.
CACHED = 256
#: Fields of monitoring: their texts are no forms.
_ALERT = re.compile(r"(?:state|status|severity|alertname|notification type|host ?name|trigger|alert|problem id)\s?[:=]")
_RULE = re.compile(r"[-_=*~#.\s]{3,}")


class Content(NamedTuple):
    """Title and description of a ticket without the parts that weigh nothing."""

    title: str
    description: str


@lru_cache(CACHED)
def content(title: str, description: str) -> Content:
    """Return the content of a ticket; at most 8,000 characters of the description are read."""
    bare = without_prefix(title)
    if bare.isascii() or ":" in bare or "," in bare:
        bare = _without_lead(bare)
    text = content_of(description, forwarded=is_forward(title))
    return Content(bare, text)


def content_of(text: str, *, forwarded: bool = False) -> str:
    """Return the content of a text; of a forwarded mail also that of the mails in it."""
    text = text[:READ].strip()
    if not text:
        return ""
    found: list[str] = []
    words = 0
    footers = ("\n" in text or len(text) > SHORT) and may_have_footer(plain(text))
    for section, marked in _sections(text.split("\n")):
        if not forwarded and words >= (1 if marked else OWN_WORDS):
            continue
        own = _content_of_section(section, footers)
        words += sum([line.count(" ") + 1 for line in own])
        found += own
    return "\n".join(found) or text


def content_of_lines(text: str) -> str:
    """Return the content of a ticket given as one text, whose first line is the title."""
    title, _, description = text.partition("\n")
    if description and not without_greeting(title.strip(), plain(title.strip())):
        # a text without a title
        title, description = "", text
    return "\n".join(content(title, description)).strip()


def _without_lead(title: str) -> str:
    """Return a title without a greeting before a comma, itself if nothing else is in it."""
    return without_greeting(title, plain(title)) or title


class _Line(NamedTuple):
    text: str
    plain: str


def _sections(raw: list[str]) -> Iterator[tuple[list[_Line], bool]]:
    """Yield the lines of the author and of each quoted or forwarded mail, without headers and quote marks.

    With each: whether it is a quote with marks, which is older than the text beside it.
    """
    section: list[_Line] = []
    quoting = False
    lines = [_Line(line.strip(), plain(line.strip())) for line in raw]
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.plain.startswith(">"):
            if not quoting:
                yield section, False
                section, quoting = [], True
            bare = line.text.lstrip("> ")
            section.append(_Line(bare, line.plain.lstrip("> ")))
            at += 1
            continue
        if quoting and line.plain:
            # the author answers between the lines of a quote
            yield section, True
            section, quoting = [], False
        if line.plain and is_title_of_quote(line.plain):
            yield section, False
            section = []
            at += 1
            continue
        if (end := _end_of_headers(lines, at)) > at:
            yield section, False
            section = []
            at = end
            continue
        section.append(line)
        at += 1
    yield section, quoting


def _end_of_headers(lines: list[_Line], at: int) -> int:
    """Return the line after the headers of a mail that begin at a line, the line itself without any."""
    if ":" not in lines[at].plain:
        return at
    end, names = at, set[str]()
    while end < len(lines) and end < at + 12:
        line = lines[end]
        name = header_name(line.plain) if line.plain else ""
        if name:
            names.add(name)
        elif line.plain or end + 1 >= len(lines) or not header_name(lines[end + 1].plain):
            break
        end += 1
    if len(names) >= 2 or (names and is_sure_header(lines[at].plain)):
        return end
    return at


def _content_of_section(section: list[_Line], footers: bool) -> list[str]:
    """Return the lines of one mail that are content; `footers`: it may have some."""
    lines = _without_fields(section)
    found: list[str] = []
    footer = False
    at, start = 0, True
    while at < len(lines):
        line = lines[at]
        if not line.plain:
            at += 1
            continue
        if footer := (footers and _is_footer_at(lines, at, footer, below=bool(found))) or learned.is_learned(
            line.plain
        ):
            at = _end_of_paragraph(lines, at)
            continue
        if line.plain in ("--", "---", "-- ") or _RULE.fullmatch(line.plain):
            at = _end_of_signature(lines, at + 1, sure=line.plain == "--") if found else at + 1
            continue
        if found and is_farewell(line.plain):
            at = _end_of_text(lines, at + 1)
            continue
        if is_thanks(line.plain):
            at = _end_of_signature(lines, at + 1, sure=False) if found else at + 1
            continue
        text = line.text
        if start:
            text = without_greeting(line.text, line.plain)
            start = False
        if text:
            found += _content_of_line(text, bool(found), footers)
        at += 1
    return found


def _content_of_line(text: str, below: bool, footers: bool) -> list[str]:
    """Return the sentences of a line that are content; a farewell and all sentences of a footer end it."""
    parts = sentences_of_line(text)
    kept: list[str] = []
    footer = False
    for at, part in enumerate(parts):
        line = plain(part)
        if is_politeness(line) or learned.is_learned(line):
            continue
        if (kept or below) and (is_farewell(line) and len(parts) > 1):
            break
        if len(parts) > 1 and (kept or below) and is_thanks(line):
            continue
        if footers and (kept or below) and _begins_footer(line, parts[at + 1 : at + FOLLOWING], footer):
            footer = True
            continue
        kept.append(part)
    return [" ".join(kept)] if kept else []


def _begins_footer(line: str, following: list[str], footer: bool) -> bool:
    """Return whether a sentence is of a footer: by itself, below another one, or together with the sentences that follow."""
    if is_footer(line, below_footer=footer):
        return True
    return bool(statements(line)) and bool(following) and is_footer(" ".join([line, *map(plain, following)]))


def _is_footer_at(lines: list[_Line], at: int, below_footer: bool, *, below: bool) -> bool:
    """Return whether the rest of the paragraph from a line on is a footer."""
    line = lines[at].plain
    begins = at == 0 or not lines[at - 1].plain
    if not below:
        # a first paragraph of one line may hold the problem as well, a banner does not
        return begins and is_banner(line)
    if not begins and not statements(line):
        return False
    return is_footer(" ".join([each.plain for each in lines[at : _end_of_paragraph(lines, at)]]), below_footer)


def _end_of_paragraph(lines: list[_Line], at: int) -> int:
    end = at + 1
    while end < len(lines) and lines[end].plain:
        end += 1
    return end


def _end_of_text(lines: list[_Line], at: int) -> int:
    """Return the line of a postscript below a farewell, the end without one."""
    while at < len(lines) and not is_postscript(lines[at].plain):
        at += 1
    return at


def _end_of_signature(lines: list[_Line], at: int, *, sure: bool) -> int:
    """Return the line after a signature; a sure one ends with its paragraph."""
    while at < len(lines):
        line = lines[at]
        if line.plain and not (
            is_signature_line(line.text, line.plain)
            or is_farewell(line.plain)
            or (sure and not is_postscript(line.plain) and line.plain.count(" ") < 10)
        ):
            return at
        at += 1
    return at


# -- forms ---------------------------------------------------------------------------------------------------------------


def _without_fields(section: list[_Line]) -> list[_Line]:
    """Return the lines without the fields of a form; the fields that hold the problem lose their label."""
    if sum(":" in line.plain for line in section) == 0:
        return section
    found = [labels(line.plain) for line in section]
    count = sum(len(each) for each in found)
    if count == 0 or (count < 2 and not any(_is_sure_field(line.plain) for line in section)):
        return section
    if any(_ALERT.match(line.plain) for line in section):
        return section
    kept: list[_Line] = []
    for line, fields in zip(section, found, strict=True):
        if not fields or (fields[0][0] > 0 and len(fields) < 2):
            kept.append(line)
            continue
        kept += _values(line, fields)
    return kept


def _is_sure_field(text: str) -> bool:
    return text.startswith(("received from:", "reported by:", "user agent:", "gemeldet von:"))


def _values(line: _Line, fields: list[tuple[int, int, bool]]) -> Iterator[_Line]:
    """Yield the text before the first label and the values of the fields that hold the problem."""
    at = places(line.text)
    if fields[0][0] > 0:
        before = line.text[: at[fields[0][0]]].strip()
        yield _Line(before, plain(before))
    ends = [start for start, _, _ in fields[1:]] + [len(line.plain)]
    for (_, start, keep), end in zip(fields, ends, strict=True):
        if keep:
            value = line.text[at[start] : at[end]].strip(" \t,;|")
            yield _Line(value, plain(value))
