"""Attachments of a mail: names, types and decoded content."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass

from aura.ai.text.charsets import decode
from aura.ai.text.clean import clean_line
from aura.mail.encoded_words import decode_raw, decode_words
from aura.mail.structure import Part, percent_decoded
from aura.mail.transfer import UuFile

MAX_NAME = 200
_PATH = re.compile(r"^(?:[A-Za-z]:[\\/]|[\\/]|\.\.?[\\/])|[\\/]\.\.[\\/]")
_SEPARATORS = re.compile(r"[\\/]+")
#: Names of parts without one, by type, where the type alone does not say the ending.
_NAMES = {
    "text/calendar": "invitation.ics",
    "message/delivery-status": "delivery-status.txt",
    "message/disposition-notification": "disposition-notification.txt",
    "message/feedback-report": "feedback-report.txt",
    "text/rfc822-headers": "headers.txt",
    "message/rfc822-headers": "headers.txt",
    "message/rfc822": "message.eml",
    "message/global": "message.eml",
    "application/pgp-signature": "signature.asc",
    "application/pgp-encrypted": "encrypted.asc",
    "application/pkcs7-signature": "smime.p7s",
    "application/pkcs7-mime": "smime.p7m",
    "application/ms-tnef": "winmail.dat",
    "application/octet-stream": "attachment.bin",
    "text/plain": "text.txt",
}


@dataclass(frozen=True, slots=True)
class MailAttachment:
    """An attachment with its decoded content."""

    name: str
    content_type: str
    content: bytes
    #: Shown within the text, such as a picture that the HTML refers to by its Content-ID.
    inline: bool = False
    #: Content-ID without angle brackets; empty when there is none.
    content_id: str = ""


def attachment_of(part: Part, charset: str, subject: str = "") -> MailAttachment:
    """Return a part as an attachment; an attached mail without a name is named by its subject."""
    content, _ = part.decoded()
    name = file_name(part, charset)
    if not name and subject:
        name = f"{_without_path(clean_line(subject, MAX_NAME - 4))}.eml"
    content_id = clean_line(part.describe("content-id"), MAX_NAME).strip("<> ")
    inline = part.disposition == "inline" or (part.disposition != "attachment" and bool(content_id))
    return MailAttachment(name or _default_name(part.kind), part.kind, content, inline, content_id)


def uuencoded_attachment(file: UuFile, charset: str) -> MailAttachment:
    """Return a file of a text as an attachment, with the type that its name says."""
    name = _clean_name(decode_raw(file.name, charset))
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return MailAttachment(name or _default_name(kind), kind, file.content)


def file_name(part: Part, charset: str) -> str:
    """Return the name of a part for people, without folders; empty when it has none.

    Reads RFC 2231 and also encoded words, percent signs, and raw bytes in the charset of the mail.
    """
    for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        raw = next((each.value for each in part.headers if each.name == header), b"")
        name = part.parameter(header, parameter) if raw.isascii() or not charset else ""
        if not name:
            name = _raw_parameter(raw, parameter, charset) or part.parameter(header, parameter)
        if name := _clean_name(percent_decoded(decode_words(name))):
            return name
    return ""


def _raw_parameter(raw: bytes, parameter: str, charset: str) -> str:
    """Return a parameter whose raw bytes are in the charset of the mail."""
    found = re.search(
        rb";\s*" + parameter.encode() + rb"\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^;\s]+))", raw, re.IGNORECASE
    )
    if found is None or raw.isascii():
        return ""
    return decode(found[1] or found[2] or b"", charset).replace('\\"', '"').replace("\\\\", "\\")


def _clean_name(name: str) -> str:
    name = clean_line(name, MAX_NAME)
    if len(name) > 2 and name[0] == name[-1] == "'":
        name = name[1:-1]
    return _without_path(name)


def _without_path(name: str) -> str:
    """Return a name without the folders of the sender's computer; other slashes become underscores."""
    if _PATH.search(name):
        name = _SEPARATORS.split(name.rstrip("\\/"))[-1]
    return _SEPARATORS.sub("_", name).strip()


def _default_name(kind: str) -> str:
    if kind in _NAMES:
        return _NAMES[kind]
    main = re.sub(r"[^a-z0-9]", "", kind.partition("/")[0]) or "attachment"
    return f"{main}{mimetypes.guess_extension(kind) or '.bin'}"
