"""Media types of request bodies: which one a body has, and the 415 error of one that a route does not read."""

from __future__ import annotations

from collections.abc import Collection
from email.message import Message as Headers

from fastapi import HTTPException, Request

#: Names of UTF-8, and of ASCII, which is a part of it.
UTF_8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
JSON = "application/json"
#: The media type of an HTML form without files.
FORM = "application/x-www-form-urlencoded"
#: Media types of a body with one JSON object per line.
JSON_LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", JSON)


def media_type_of(request: Request) -> tuple[str, str]:
    """Return the media type and the charset of the body in lower case; each is empty when the header has none."""
    given = request.headers.get("content-type", "").strip()
    if not given:
        return "", ""
    header = Headers()
    header["content-type"] = given[:1000]
    charset = header.get_param("charset", "")
    return given.partition(";")[0].strip().lower(), charset.strip().lower() if isinstance(charset, str) else "unknown"


def is_json(request: Request) -> bool:
    """Return whether the Content-Type of the body is JSON, or missing."""
    media_type, _ = media_type_of(request)
    return not media_type or names_json(media_type)


def names_json(media_type: str) -> bool:
    return media_type == JSON or (media_type.startswith("application/") and media_type.endswith("+json"))


def require_json(request: Request) -> None:
    """Raise HTTPException 415 unless the Content-Type is JSON; a body without one is read as JSON."""
    if not is_json(request):
        raise unsupported(request, [JSON])


def require_json_lines(request: Request) -> None:
    """Raise HTTPException 415 unless the Content-Type is one of JSON lines, or missing."""
    if media_type_of(request)[0] not in ("", *JSON_LINES):
        raise unsupported(request, JSON_LINES[:1])


def unsupported(request: Request, accepted: Collection[str]) -> HTTPException:
    """Return the 415 error of a body that is none of the accepted media types, which its Accept header lists."""
    names = " or ".join(accepted)
    given = media_type_of(request)[0][:100]
    return HTTPException(415, f"Content-Type: must be {names}, not {given}", {"Accept": ", ".join(accepted)})
