"""Verifies the sender of a mail by the Authentication-Results of our own mail server (RFC 8601).

Anybody can write this header. It counts if its name (authserv-id) is in AURA_TRUSTED_AUTHSERV, and if our server wrote it: all
such headers above the first Received, or else the topmost one alone, since a server writes above what it receives.

Own code: authres 1.2.0 has had no release since 2019, rejects the header of Yahoo (a semicolon at its end) and a quoted name, and
takes quadratic time for comments: 1.4 s for 8,000.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aura.mail.parse import AuthenticationHeader, ParsedMail
from aura.notifications.addresses import comparable

_SERVER = re.compile(r'\s*(?:"([^"\\]{1,253})"|([^\s;"]{1,253}))(?:\s+\d{1,9})?\s*(?:;|$)')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|;|[^";]+|"', re.DOTALL)
_METHOD = re.compile(r"\s*([\w-]{1,40})(?:\s*/\s*\d{1,9})?\s*=\s*([\w-]{1,40})")
_PROPERTY = re.compile(
    r'(?<![\w.=-])([\w-]{1,40}(?:\s?\.\s?[\w.-]{1,60})?)\s?=\s?((?:"(?:[^"\\]|\\.)*+"|[^\s;"]++)++)', re.DOTALL
)
#: A value that is quoted as a whole. In `"ann@corp.example"@evil.example` only the local part is, which the sender chose.
_QUOTED = re.compile(r'"([^"\\]*)"')
#: Results of DMARC that say nothing about the mail: the domain has no policy, or it was not found out.
_NO_RESULT = ("none", "temperror", "permerror", "bestguesspass")


class Verification(NamedTuple):
    """Whether the sender is verified, None if that is unknown, and the reason why it is not."""

    verified: bool | None
    reason: str = ""


@dataclass(slots=True)
class Result:
    """The result of one method, such as dmarc=pass, with its properties, such as header.from."""

    method: str
    value: str
    properties: dict[str, str] = field(default_factory=dict)


def verify_sender(mail: ParsedMail, trusted: Collection[str]) -> Verification:
    """Return whether the sender is who From says.

    False without a doubt about From itself: with several addresses, or none. Unknown without trusted names. Otherwise DMARC
    decides; without a result of DMARC, SPF or DKIM must have passed for the sender's domain or one above it, or the sender
    has logged in at our server with this address.
    """
    if not mail.sender or not mail.author_certain:
        return Verification(False, "From does not name one sender" if mail.sender else "From names no sender")
    if not trusted:
        return Verification(None)
    results = trusted_results(mail.authentication, trusted)
    if not results:
        return Verification(False, "no Authentication-Results of AURA_TRUSTED_AUTHSERV")
    domain = mail.sender.rpartition("@")[2]
    dmarc = [each for each in results if each.method == "dmarc" and each.value not in _NO_RESULT]
    if dmarc:
        failed = next((each for each in dmarc if each.value != "pass" or not _covers(_from(each), domain)), None)
        if failed is None:
            return Verification(True)
        about = f" for {_from(failed)}" if failed.value == "pass" else ""
        return Verification(False, f"dmarc={failed.value}{about}"[:200])
    passed = [each for each in results if each.value == "pass"]
    if any(_covers(_identity(each), domain) or _logged_in(each) == comparable(mail.sender) for each in passed):
        return Verification(True)
    return Verification(False, f"neither SPF nor DKIM passed for {domain}"[:200])


def trusted_results(headers: Sequence[AuthenticationHeader], trusted: Collection[str]) -> list[Result]:
    """Return the results that our own server wrote; headers below the first one of another server count for nothing."""
    ours = [
        (each.above_received, results) for each in headers if (results := _results(each.value, trusted)) is not None
    ]
    if not ours:
        return []
    if not ours[0][0]:
        return ours[0][1]
    return [result for above, results in ours if above for result in results]


def _results(value: str, trusted: Collection[str]) -> list[Result] | None:
    """Return the results of a header; None when it is not of a trusted server, or cannot be read."""
    text = _without_comments(value)
    server = _SERVER.match(text) if text is not None else None
    if text is None or server is None or (server[1] or server[2]).lower() not in trusted:
        return None
    return [result for segment in _segments(text[server.end() :]) if (result := _result(segment)) is not None]


def _segments(text: str) -> Iterator[str]:
    """Yield the parts between semicolons that are not quoted."""
    parts: list[str] = []
    for token in _TOKEN.findall(text):
        if token == ";":
            yield "".join(parts)
            parts = []
        else:
            parts.append(token)
    yield "".join(parts)


def _result(segment: str) -> Result | None:
    method = _METHOD.match(segment)
    if method is None:
        return None
    result = Result(method[1].lower(), method[2].lower())
    for name, value in _PROPERTY.findall(segment, method.end()):
        # `reason` is a property as well, so that nothing within its quotation marks is one
        quoted = _QUOTED.fullmatch(value)
        result.properties.setdefault("".join(name.split()).lower(), quoted[1] if quoted else value)
    return result


def _from(result: Result) -> str:
    return result.properties.get("header.from", "")


def _identity(result: Result) -> str:
    """Return the domain for which SPF or DKIM passed; "" for any other method."""
    found = result.properties
    if result.method == "spf":
        return found.get("smtp.mailfrom") or found.get("smtp.mail") or ""
    return (found.get("header.d") or found.get("header.i") or "") if result.method == "dkim" else ""


def _logged_in(result: Result) -> str:
    """Return the address with which the sender logged in at our own server (RFC 8601, section 2.7.4)."""
    return comparable(result.properties.get("smtp.auth", "")) if result.method == "auth" else ""


def _covers(verified: str, domain: str) -> bool:
    """Return whether the verified domain is the sender's, or one above it; a single label covers nothing."""
    above, below = (comparable(each.rpartition("@")[2].removesuffix(".")) for each in (verified, domain))
    return bool(above) and (above == below or ("." in above and below.endswith(f".{above}")))


def _without_comments(text: str) -> str | None:
    """Return the text without comments, which may be nested and stay within quotation marks; None when one is not closed."""
    kept: list[str] = []
    depth, quoted, escaped = 0, False, False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"' and not depth:
            quoted = not quoted
        elif character == "(" and not quoted:
            depth += 1
        elif character == ")" and depth and not quoted:
            depth -= 1
            kept.append(" ")
            continue
        if not depth:
            kept.append(character)
    return None if depth or quoted else "".join(kept)
