"""Adds the text of attachments to the requests of an engine, if AURA_CLASSIFY_ATTACHMENTS is on.

The text is part of the description: the remote engine masks it like the rest before it is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from aura.ai import ClassificationRequest
from aura.ai.text.charsets import decode
from aura.attachments.text import CHARACTERS, READABLE, Budget, read_text
from aura.errors import AuraError
from aura.settings import get_settings
from db import attachments, reading

logger = structlog.get_logger("aura.analysis")

#: Characters of the description before the text of attachments, and attachments of a ticket that are read.
DESCRIPTION, FILES = 3_500, 5
#: Seconds for all PDFs of a batch, a third of the time that an attempt has.
SECONDS = 20.0


def with_attachments(requests: Sequence[ClassificationRequest]) -> list[ClassificationRequest]:
    """Return the requests with the text of their tickets' attachments, at most CHARACTERS in all of each."""
    if not get_settings().classify_attachments:
        return list(requests)
    with reading() as session:
        found = attachments.of_tickets(session, [each.id for each in requests], READABLE)
    files: dict[int | None, list[attachments.StoredAttachment]] = {}
    for each in found:
        files.setdefault(each.ticket_id, []).append(each)
    budget = Budget(SECONDS)
    return [_extended(each, files.get(each.id, [])[:FILES], budget) for each in requests]


def _extended(
    request: ClassificationRequest, files: Sequence[attachments.StoredAttachment], budget: Budget
) -> ClassificationRequest:
    parts, room = [], CHARACTERS
    for file in files:
        try:
            text = read_text(file, budget, _decode).strip()[:room]
        except AuraError as error:  # the ticket is classified without it
            logger.warning("attachment not read", ticket=request.id, attachment=file.id, error=str(error))
            continue
        if text:
            parts.append(f"Attachment {file.name}:\n{text}")
            room -= len(text)
    if not parts:
        return request
    return replace(request, description="\n\n".join([request.description[:DESCRIPTION], *parts]))


def _decode(head: bytes) -> str:
    return decode(head, cut=True)
