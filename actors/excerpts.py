"""Excerpts of ticket text for notifications, summaries and other services: cut to a limit and masked."""

from __future__ import annotations

from aura.ai.text.masking import mask
from aura.settings import get_settings

#: Characters of an excerpt.
EXCERPT_LIMIT = 2_000


def excerpt(text: str) -> str:
    """Return the beginning of a text; personal data in it is masked unless AURA_AI_MASK is off."""
    text = text[:EXCERPT_LIMIT]
    return mask(text).text if get_settings().ai_mask == "on" else text
