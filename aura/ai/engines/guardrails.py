"""Guardrails: limit the priority of a remote engine's answer, and remove links, addresses and commands from its texts.

The text of a ticket can manipulate a remote engine (prompt injection). The local engine follows no instructions, so its
priority bounds the remote one.
"""

from __future__ import annotations

import re

from aura.ai.engines.destinations import without_commands, without_destinations, without_openings
from aura.ai.text.clean import clean
from aura.ai.text.masking import mask
from aura.ai.text.masking.plain_characters import plain_characters
from aura.settings import PRIORITIES


def limit_priority(remote: str, local: str) -> tuple[str, bool]:
    """Return the remote priority, at most one level from the local one, and whether it was limited.

    An upper bound, because a ticket must not page people at night by its wording. A lower bound, because it must not hide an
    outage.
    """
    if remote not in PRIORITIES:
        return local, True
    rank, local_rank = PRIORITIES.index(remote), PRIORITIES.index(local)
    allowed = min(max(rank, local_rank - 1), local_rank + 1)
    return PRIORITIES[allowed], allowed != rank


_TAG = re.compile(r"<[^<>]{0,2000}>")
_LABELLED = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,1000}(?:[ \t][^()]{0,200})?\)")


def safe_text(text: str, limit: int) -> str:
    """Return a remote engine's text as one line of at most ``limit`` characters.

    It has no tags, links, network paths, domains, IP addresses, e-mail addresses, phone numbers, commands to type or control
    characters, so it can lead no reader to another place.
    """
    text = plain_characters(clean(text, 4 * limit))
    text = _TAG.sub("", " ".join(text.split())).replace("<", "").replace(">", "")
    text = without_destinations(without_commands(_LABELLED.sub(r"\1", text)))
    text = without_openings(mask(text).text)
    return " ".join(text.split())[:limit].strip()
