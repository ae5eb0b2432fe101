"""Responses with the content of an attachment, which may be hostile: no browser runs anything in it.

A download has `Content-Disposition: attachment`, and a type in which browsers run nothing. Pictures alone are also answered
inline, for the page of the ticket. Every response forbids the browser to guess another type (`nosniff`) and has a
Content-Security-Policy without any permission (`sandbox`), so that even an inline HTML file could do nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from aura.attachments.content import read_content
from aura.attachments.content_types import BINARY, HARMLESS, PICTURES
from aura.attachments.storage import ContentMissing
from aura.errors import NotFound
from db.attachments import StoredAttachment

#: Headers of every response with a content, beside those of `aura.web.headers`. The styles are those of the browser's own
#: page around a picture.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
    # a browser may store it, and asks each time whether it may still show it
    "Cache-Control": "private, no-cache",
}
_TAG = re.compile(r'"([\x21\x23-\x7e]{0,200})"')
#: Characters of an If-None-Match header that are read.
MAX_CONDITION = 4_000


class NoPicture(NotFound):
    """The attachment is no picture that pages show."""


def is_picture(attachment: StoredAttachment) -> bool:
    """Return whether pages show the attachment as a picture."""
    return bool(attachment.storage and attachment.content_type in PICTURES and attachment.width)


def download(request: Request, attachment: StoredAttachment) -> Response:
    """Return the content as a download. Raises ContentMissing, StorageUnavailable."""
    harmless = attachment.content_type in HARMLESS
    return _response(request, attachment, attachment.content_type if harmless else BINARY, "attachment")


def picture(request: Request, attachment: StoredAttachment) -> Response:
    """Return a picture to be shown. Raises NoPicture for any other attachment, ContentMissing, StorageUnavailable."""
    if not is_picture(attachment):
        raise NoPicture(f"attachment {attachment.id} is no picture")
    return _response(request, attachment, attachment.content_type, "inline")


def content_disposition(kind: str, name: str) -> str:
    """Return a Content-Disposition header with the name (RFC 6266), in ASCII and, if that differs, in UTF-8."""
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", name)
    extended = f"; filename*=UTF-8''{quote(name, safe='')}" if plain != name else ""
    return f'{kind}; filename="{plain}"{extended}'


def _response(request: Request, attachment: StoredAttachment, content_type: str, kind: str) -> Response:
    headers = {**HEADERS, "Content-Disposition": content_disposition(kind, attachment.name)}
    if attachment.sha256:
        headers["ETag"] = f'"{attachment.sha256}"'
        if _is_cached(request, attachment.sha256):
            return Response(status_code=304, headers=headers)
    content = read_content(attachment)
    first = next(content, b"")  # an error becomes a response while there is none yet
    if attachment.size and not first:
        raise ContentMissing(f"the content of attachment {attachment.id} is empty in its storage")
    headers |= {"Content-Type": content_type, "Content-Length": str(attachment.size), "Accept-Ranges": "none"}
    return StreamingResponse(_parts(first, content), headers=headers)


def _parts(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    return chain((first,) if first else (), rest)


def _is_cached(request: Request, tag: str) -> bool:
    """Return whether If-None-Match names the tag, by weak comparison (RFC 9110, 13.1.2)."""
    condition = request.headers.get("if-none-match", "")[:MAX_CONDITION]
    return condition.strip() == "*" or tag in _TAG.findall(condition)
