"""Sanitize untrusted text for a mail header, a log line or a message body.

The author of a ticket chooses its title and requester. Neither may add a header or a recipient, hide text, or reverse the
reading direction.
"""

from __future__ import annotations

import re
import unicodedata

#: Joiners that emoji and Persian need; every other invisible format character is dropped.
_JOINERS = "\u200c\u200d"

_ATOM = r"[\w#$&'*+/=?^`{|}~-]+"  # no % and no !, old mail servers read them as a route
# mobile carriers allow several dots in a row, and one at the end
_LOCAL = rf"{_ATOM}(?:\.+{_ATOM})*\.*"
_QUOTED = r"\"[\w#$&'*+/=?^`{|}~. ,:;()\[\]-]+\""
# hosts with an underscore send mail
_LABEL = r"\w(?:(?:\w|-){0,61}\w)?"
_ADDRESS = re.compile(rf"(?!-)(?!.*=\?)(?P<local>{_LOCAL}|{_QUOTED})@(?P<domain>{_LABEL}(?:\.{_LABEL})*)")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,30})://", re.IGNORECASE)
#: Schemes that are written with x instead of t by convention.
_WEB = ("http", "https", "ftp", "ftps")
#: A network path of Windows, which Outlook makes a link: opening it sends the user's credentials to the host.
_UNC = re.compile(r"\\{2,}+(?=[\w\[])")
_WWW = re.compile(r"www\.", re.IGNORECASE)


def is_email(address: str) -> bool:
    """Return whether the text is exactly one plain e-mail address.

    At most 254 characters. Letters of any alphabet, underscores in the domain, several dots in a row and a quoted name before
    the @ are allowed; comments, lists, routes, address literals, encoded words and control characters are not.
    """
    if len(address) > 254:
        return False
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return False
    return not match["domain"].rpartition(".")[2].isdigit()


def block(text: str, limit: int) -> str:
    """Return printable text of at most ``limit`` characters; line breaks stay, two blank lines become one."""
    # a ticket may contain megabytes of blanks, so only the beginning is read
    lines = [" ".join(_printable(line).split()) for line in text[: limit * 8].splitlines()]
    return _cut(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip(), limit)


def one_line(text: str, limit: int) -> str:
    """Return the text as one printable line of at most ``limit`` characters, cut with an ellipsis."""
    return _cut(" ".join(_printable(text[: limit * 8]).split()), limit)


def visible(text: str) -> str:
    """Return the text without control, bidirectional and other invisible characters; tabs, line breaks and joiners stay."""
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "\n".join("\t".join(map(_printable, line.split("\t"))) for line in text.splitlines())


def without_links(text: str) -> str:
    """Return the text with its links defanged: ``hxxp://``, ``file[:]//``, ``www[.]``, and ``[\\\\]host`` of network paths.

    Mail programs make links of URLs of any scheme, and Outlook also of network paths.
    """
    if "://" in text:
        text = _SCHEME.sub(_defanged, text)
    if "\\\\" in text:
        text = _UNC.sub(r"[\\\\]", text)
    return _WWW.sub("www[.]", text) if "www." in text.lower() else text


def _defanged(found: re.Match[str]) -> str:
    scheme = found[1].lower()
    return f"{scheme.replace('t', 'x')}://" if scheme in _WEB else f"{found[1]}[:]//"


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    characters = []
    for character in text:
        kind = unicodedata.category(character)
        if kind in ("Cc", "Zl", "Zp"):
            characters.append(" ")
        elif kind not in ("Cf", "Cs", "Co") or character in _JOINERS:
            characters.append(character)
    return "".join(characters)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
