"""Chooses the text of a mail among its parts: plain text, HTML, forwarded mails and invitations; all else is attached."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from aura.ai.text.charsets import codec_of, decode
from aura.ai.text.clean import clean_line, has_text
from aura.ai.text.html import html_to_text
from aura.mail.attachments import MailAttachment, attachment_of, uuencoded_attachment
from aura.mail.calendars import calendar_text
from aura.mail.encoded_words import decode_raw, decode_words
from aura.mail.flowed import join_flowed
from aura.mail.structure import Part, parse_structure
from aura.mail.transfer import split_uuencoded

#: Bytes of text that are decoded, and listed attachments.
MAX_TEXT, MAX_ATTACHMENTS = 1_000_000, 1_000
#: Mails within mails whose text is read.
MAX_FORWARDS = 3
_TEXTS = ("text/plain", "text/html")
#: Other parts of text that are shown when there is no other text.
_OTHER_TEXTS = ("text/enriched", "text/richtext", "text/markdown", "text/x-markdown", "text/x-plain", "text/unknown")
_META = re.compile(rb"<meta[^>]{1,300}charset\s{0,9}=\s{0,9}[\"']?([\w:-]{2,40})", re.IGNORECASE)
_DATA = re.compile(rb"data:[\w/+.;=-]{0,200}base64,[A-Za-z0-9+/=%\r\n]+", re.IGNORECASE)
_HTML_DOCUMENT = re.compile(r"\s*(?:<!doctype html|<html[\s>])", re.IGNORECASE)
#: Other alternatives that no mail program of ours shows; the plain text and the HTML say the same.
_SKIPPED_ALTERNATIVES = ("text/x-amp-html", "text/watch-html")
#: Tags of text/enriched (RFC 1896), with parameters that are no text; "<<" is a "<".
_ENRICHED = re.compile(r"<param>[^<>]{0,200}</param>|<<|<[^<>]{1,100}>", re.IGNORECASE)
#: Characters of a plain alternative that may be a placeholder, and of the HTML that is compared with it.
_PLACEHOLDER, _COMPARED = 1_000, 100_000
_URL = re.compile(r"(?:https?://|www\.)\S+")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]|\w+")


@dataclass(slots=True)
class Content:
    """The text of a mail, the HTML from which it was made, and the attachments."""

    text: str = ""
    html: str = ""
    attachments: list[MailAttachment] = field(default_factory=list)


@dataclass(slots=True)
class _Alternatives:
    """Texts that say the same in different formats."""

    plain: str = ""
    html: str = ""
    other: str = ""
    calendar: str = ""


def read_content(mail: Part) -> Content:
    """Return the text and the attachments of a mail."""
    return _Reader(mail, MAX_TEXT, 0).read()


def charset_of(part: Part) -> str:
    """Return the charset label of the first part that has one, which is that of raw headers too."""
    if part.charset and codec_of(part.charset):
        return part.charset
    return next(filter(None, map(charset_of, part.parts)), "")


class _Reader:
    """Reads one mail; forwarded mails have readers of their own, which share the room for text."""

    def __init__(self, mail: Part, room: int, level: int) -> None:
        self._mail, self._room, self._level = mail, room, level
        self._charset = charset_of(mail)
        self._groups: dict[int, _Alternatives] = {}
        self._forwarded: list[str] = []
        self._attachments: list[MailAttachment] = []
        self._count = 0

    def read(self) -> Content:
        self._read(self._mail, 0, report=False)
        groups = list(self._groups.values())
        chosen = [_choose(each) for each in groups]
        text = "\n\n".join(text for text, _ in chosen if text)
        if not has_text(text) and self._mail.kind in _TEXTS and not self._mail.parts:
            # the whole mail is one text, though it is called an attachment
            self._add_text(self._mail, alone := _Alternatives())
            text, _ = _choose(alone)
        if not has_text(text):
            text = "\n\n".join(filter(None, [text, *(each.calendar or each.other for each in groups)]))
        return Content(
            "\n\n".join(filter(None, (text, *self._forwarded))),
            "\n".join(html for _, html in chosen if html),
            self._attachments,
        )

    def _read(self, part: Part, group: int, report: bool) -> None:
        self._count += 1
        if part.parts:
            if part.kind == "multipart/alternative":
                group = group or self._count
            for each in part.parts:
                self._read(each, group, report or part.kind == "multipart/report")
        elif part.kind in _SKIPPED_ALTERNATIVES and group:
            pass
        elif self._is_text(part):
            self._add_text(part, self._groups.setdefault(group or -self._count, _Alternatives()))
        else:
            self._attach(part, self._groups.setdefault(group or -self._count, _Alternatives()), report)

    def _is_text(self, part: Part) -> bool:
        """Return whether a part is text to read: its disposition decides, not a name."""
        if part.kind.startswith("multipart/"):
            return True  # without a boundary it is text
        if part.kind not in (*_TEXTS, *_OTHER_TEXTS) or part.disposition == "attachment":
            return False
        # a second text with a file name is a file that the mail program shows, such as a log
        named = part.disposition == "inline" and part.parameter("content-disposition", "filename")
        return not named or not any(map(_has_any, self._groups.values()))

    def _add_text(self, part: Part, into: _Alternatives) -> None:
        content, behind = part.decoded()
        if part.kind != "text/html" and b"begin" in content:
            content, files = split_uuencoded(content)
            for each in files:
                self._list(uuencoded_attachment(each, self._charset))
        text = self._decode(content, part, html=part.kind == "text/html")
        if behind.strip():
            footer = self._decode(behind, part, html=False)
            text = f"{text.rstrip()}\n\n{footer}" if part.kind != "text/html" else f"{text}<p>{escape(footer)}</p>"
        if part.kind == "text/html" or (part.kind == "text/plain" and _HTML_DOCUMENT.match(text)):
            into.html = _joined(into.html, text)
        elif part.kind in _OTHER_TEXTS:
            into.other = _joined(into.other, _enriched_text(text) if "rich" in part.kind else text)
        else:
            if part.parameter("content-type", "format").lower() == "flowed":
                text = join_flowed(text, part.parameter("content-type", "delsp").lower() == "yes")
            into.plain = _joined(into.plain, text)

    def _decode(self, content: bytes, part: Part, html: bool) -> str:
        label = part.charset
        if html and b"base64," in content:
            content = _DATA.sub(b"data:,", content)  # a picture may be longer than the limit, and text follows it
        if html and not codec_of(label) and (meta := _META.search(content[:4_000])):
            label = meta[1].decode("ascii", "replace")
            label = "utf-8" if codec_of(label).startswith("utf-16") else label
        room, self._room = self._room, max(0, self._room - len(content))
        return decode(content[:room], label, cut=len(content) > room)

    def _attach(self, part: Part, group: _Alternatives, report: bool) -> None:
        subject = ""
        if part.kind in ("message/rfc822", "message/global"):
            subject = self._forward(part, report)
        elif part.kind == "text/calendar":
            content, _ = part.decoded()
            group.calendar = _joined(group.calendar, calendar_text(self._decode(content, part, html=False)))
        self._list(attachment_of(part, self._charset, subject))

    def _list(self, attachment: MailAttachment) -> None:
        if len(self._attachments) < MAX_ATTACHMENTS:
            self._attachments.append(attachment)
        else:
            self._attachments[-1] = MailAttachment("(and more)", "", b"")

    def _forward(self, part: Part, report: bool) -> str:
        """Add the text of a forwarded mail, unless a report returns it, and return its subject."""
        if self._level >= MAX_FORWARDS:
            return ""
        mail = parse_structure(part.decoded()[0])
        charset = charset_of(mail)
        shown = {
            name: clean_line(decode_words(decode_raw(header.value, charset)), 500)
            for name in ("from", "date", "to", "subject")
            for header in mail.headers
            if header.name == name
        }
        if not report:
            inner = _Reader(mail, self._room, self._level + 1)
            head = "\n".join(f"{name.title()}: {value}" for name, value in shown.items() if value)
            text = "\n\n".join(filter(None, (head, inner.read().text.strip())))
            self._room = inner._room
            if text:
                self._forwarded.append(f"---------- Forwarded message ----------\n{text}")
        return shown.get("subject", "")


def _enriched_text(text: str) -> str:
    return _ENRICHED.sub(lambda found: "<" if found[0] == "<<" else "", text)


def _joined(first: str, second: str) -> str:
    return f"{first}\n{second}" if first else second


def _has_any(alternatives: _Alternatives) -> bool:
    return has_text(alternatives.plain) or has_text(alternatives.html)


def _choose(alternatives: _Alternatives) -> tuple[str, str]:
    """Return the text, and the HTML from which it was made or ""."""
    plain = alternatives.plain.strip("\r\n").rstrip()
    if not alternatives.html:
        return plain, ""
    if has_text(plain) and len(plain) > _PLACEHOLDER:
        return plain, ""
    text = html_to_text(alternatives.html)
    if has_text(plain) and not (has_text(text) and is_placeholder(plain, text)):
        return plain, ""
    return text, alternatives.html


def is_placeholder(plain: str, other: str) -> bool:
    """Return whether a plain alternative only stands for the other one, as "Your mail program cannot show HTML" does.

    It is, in any language, when the two hardly share pairs of words, when it is a link alone, or when the other is far longer.
    """
    words = _WORD.findall(_URL.sub(" ", plain).casefold())
    others = _WORD.findall(other[:_COMPARED].casefold())
    if not words or len(others) < 3:
        return not words
    if len(others) > 5 * len(words) + (0 if _URL.search(plain) else 50):
        return True
    if len(words) < 3:
        return not set(words) & set(others)
    pairs, other_pairs = set(pairwise(words)), set(pairwise(others))
    return len(pairs & other_pairs) * 4 < min(len(pairs), len(other_pairs))
