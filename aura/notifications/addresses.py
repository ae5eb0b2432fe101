"""Parses the mailboxes of an address header such as From, with the errors that mail programs make.

Own code: `email.utils.getaddresses` and `email.headerregistry` return no address, or another one, for unquoted commas, unclosed
quotation marks and brackets, dots that mobile carriers allow, and encoded words with special characters. Encoded words stay
encoded here: they are names and never structure (RFC 2047 sections 5 (3) and 6.1), so no name creates or hides an address.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import idna

from aura.notifications.sanitize import is_email

#: Mailboxes of one header that are read.
MAX_MAILBOXES = 100

_QUOTED = r'(?P<quoted>"(?:[^"\\]|\\.)*") |'
_TOKENS = r"""(?P<blank>\s+)
    | (?P<encoded>=\?[^?\s]{1,80}\?[bq]\?[^?]*\?=)
    | (?P<angle><[^<>]*>?)
    | (?P<separator>[,;:])
    | (?P<text>[^\s"(<,;:=]+|.)"""
_FLAGS = re.VERBOSE | re.IGNORECASE | re.DOTALL
#: The second one is for the rest of a header in which a quotation mark is not closed: it would search to the end for each mark.
_TOKEN, _UNQUOTED_TOKEN = re.compile(_QUOTED + _TOKENS, _FLAGS), re.compile(_TOKENS, _FLAGS)
_PARENTHESIS = re.compile(r"[()]|\\.", re.DOTALL)
_COMMENT = re.compile(r"\([^()]*\)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_AROUND_AT = re.compile(r"(?<!\s)\s*@\s*")
#: Marks that programs copy along with an address. Within an address they make it another one.
_MARKS = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"
#: Alphabets with similar letters, as the first word of their names in Unicode.
_ALPHABETS = {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"}
_QUOTED_WHOLE = re.compile(r'^\s*"([^"]*)"\s*$')
_SEPARATORS = re.compile("[,;]")
_UNNEEDED_QUOTES = re.compile(r'"([^"\\@\s,:;()<>\[\]]+)"@')


class Mailbox(NamedTuple):
    """A display name as it was written, without quotation marks, and an address in lower case."""

    name: str
    address: str


def parse_mailboxes(value: str) -> list[Mailbox]:
    """Return the mailboxes of an address header whose encoded words are not decoded, in linear time.

    Each has an address that can be mailed. Members of groups are mailboxes. Source: RFC 5322 section 3.4, with errors.
    """
    return _read(value).found[:MAX_MAILBOXES]


def names_one_author(values: Sequence[str]) -> bool:
    """Return whether From is there once and names one mailbox that all readers of mail agree on.

    Otherwise a mail server may have verified another domain than that of the address which `parse_mailboxes` returns. A domain
    that mixes alphabets, such as one Cyrillic letter among Latin ones, is read as another one by people.
    """
    if len(values) != 1:
        return False
    reader = _read(values[0])
    return len(reader.found) == 1 and not reader.doubtful and not _mixes_alphabets(reader.found[0].address)


def _read(value: str) -> _Reader:
    reader = _Reader()
    at, tokens, comments = 0, _TOKEN, True
    while at < len(value) and len(reader.found) < MAX_MAILBOXES:
        token = tokens.match(value, at)
        if token is None:
            break
        kind, text = token.lastgroup or "", token[0]
        if text[0] == '"' and kind != "quoted":
            tokens = _UNQUOTED_TOKEN  # the next ones are not closed either
            reader.doubtful = True
        if text == "(" and comments:
            end = _end_of_comment(value, at)
            comments = end > 0
            reader.doubtful |= not comments
            kind, text = ("comment", value[at:end]) if comments else ("text", "(")
        reader.read(kind, text)
        at += len(text)
    reader.finish()
    return reader


def comparable(address: str) -> str:
    """Return an address, or a domain, in the form in which two are compared: in lower case, the domain in Unicode.

    `ann@xn--bcher-kva.example` is `ann@bücher.example` (RFC 5891). A domain that is not valid stays as it is. The mapping
    of UTS 46 is not applied: it makes other letters equal to those of ASCII.
    """
    local, at, domain = address.strip().lower().rpartition("@")
    if not domain.isascii() or "xn--" in domain:
        with suppress(UnicodeError):  # IDNAError is one
            domain = idna.decode(idna.encode(domain))
    return f"{local}{at}{domain}"


def spellings(address: str) -> list[str]:
    """Return the address in lower case, and its other spelling when the domain has one: in Unicode, or as A-labels."""
    found = [address.lower(), comparable(address)]
    local, _, domain = found[1].rpartition("@")
    if not domain.isascii():
        with suppress(UnicodeError):
            found.append(f"{local}@{idna.encode(domain, uts46=True).decode()}")
    return list(dict.fromkeys(found))


def _end_of_comment(value: str, at: int) -> int:
    """Return the place behind a comment, which may contain others; 0 when it is not closed."""
    depth = 0
    for mark in _PARENTHESIS.finditer(value, at):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if not depth:
            return mark.end()
    return 0


@dataclass(slots=True)
class _Reader:
    """Collects the tokens of a mailbox until a separator."""

    found: list[Mailbox] = field(default_factory=list)
    #: Words of the name or of an address without brackets; `joined`: no blank came after the last one.
    words: list[str] = field(default_factory=list)
    joined: bool = False
    comment: str = ""
    angle: str | None = None
    #: The part of a name before a comma that should have been quoted.
    carried: str = ""
    #: Another reader may find another address: brackets without one, several addresses in one mailbox, or a group.
    doubtful: bool = False

    def read(self, kind: str, text: str) -> None:
        if kind == "separator":
            self._separate(text)
        elif kind == "angle":
            if self.angle is not None:
                self.finish()
            self.angle = text.strip("<>")
            self.doubtful |= text[-1] != ">"
        elif kind == "comment":
            self.comment = self.comment or text[1:-1]
            self._add(text)
        elif kind != "blank":
            self._add(text)
        self.joined = kind not in ("blank", "angle", "separator")

    def _add(self, text: str) -> None:
        if self.angle is not None:
            if text in (">", ".", "'", '"') or text.startswith("("):
                return
            self.finish()
        if self.joined and self.words and not text.startswith("(") and not self.words[-1].endswith(")"):
            self.words[-1] += text
        else:
            self.words.append(text)

    def _separate(self, mark: str) -> None:
        if mark != ":":
            self.finish()
        elif self.angle is None and not any("@" in word for word in self.words):
            self.doubtful |= [word.casefold() for word in self.words] != ["mailto"]
            self.words.clear()  # the name of a group, or "mailto"
            self.carried = ""
        else:
            self._add(mark)

    def finish(self) -> None:
        """End a mailbox."""
        words, angle, comment = self.words, self.angle, self.comment
        self.words, self.angle, self.comment, self.joined = [], None, "", False
        address = _address(_QUOTED_WHOLE.sub(r"\1", angle)) if angle is not None else ""
        self.doubtful |= not address if angle is not None else sum("@" in word for word in words) > 1
        self.doubtful |= angle is not None and angle.count("@") != 1
        if not address and angle and "@" in angle:
            return  # its name is no other address
        if not address:
            words, address = _bare_address(words)
            if not address:
                self.doubtful |= any("@" in word for word in words)
                self.carried = f"{self.carried}{' '.join(words)}, " if words and angle is None else ""
                return
            words = [word for word in words if not word.startswith("(")] or [comment]
        self.found.append(Mailbox(_name(f"{self.carried}{' '.join(words)}"), address))
        self.carried = ""


def _bare_address(words: list[str]) -> tuple[list[str], str]:
    """Return the other words and the address, when one of the words is an address: the last one."""
    for number in range(len(words) - 1, -1, -1):
        if "@" in words[number] and (address := _address(words[number])):
            return words[:number] + words[number + 1 :], address
    address = _address(" ".join(word for word in words if not word.startswith("(")))
    return [] if address else words, address


def _address(text: str) -> str:
    """Return an address that can be mailed, in lower case, without a route, comments and the dot of the root; else ""."""
    text = _COMMENT.sub("", text).strip(f" \t\r\n{_MARKS}").strip("<>[]'\u2018\u2019,;").strip(f" \t\r\n{_MARKS}")
    if text.startswith("@"):
        text = text.rpartition(":")[2]
    text = _AROUND_AT.sub("@", text.removeprefix("mailto:").removeprefix("MAILTO:")).removesuffix(".")
    text = _UNNEEDED_QUOTES.sub(r"\1@", text)
    if not is_email(text) and (several := _SEPARATORS.split(text, maxsplit=1))[1:]:
        text = several[0].strip()  # several addresses within the brackets
    return text.lower() if is_email(text) and not _imitates_ascii(text) else ""


def _imitates_ascii(text: str) -> bool:
    """Return whether a character becomes ASCII when text is normalized, as the Kelvin sign (U+212A) becomes k."""
    return not text.isascii() and any(
        not each.isascii() and any(map(str.isascii, unicodedata.normalize("NFKC", each))) for each in text
    )


def _mixes_alphabets(address: str) -> bool:
    """Return whether a label of the domain mixes Latin letters with those that look like them (UTS 39, section 5.2)."""
    if address.isascii():
        return False
    return any(
        len({unicodedata.name(each, "").partition(" ")[0] for each in label if each.isalpha()} & _ALPHABETS) > 1
        for label in address.rpartition("@")[2].split(".")
    )


def _name(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1].replace('\\"', ""):
        text = text[1:-1]
    return _ESCAPED.sub(r"\1", text).strip(" ,")
