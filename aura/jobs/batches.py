"""How many jobs go together: in one hint, in one claim, in one call of a step."""

from __future__ import annotations

from typing import Any

import dramatiq

from aura.settings import Settings


def batch_size(actor: dramatiq.Actor[Any, Any], settings: Settings) -> int:
    """Return the most jobs of the actor that go together: its own option `batch`, or AURA_JOBS_PER_HINT."""
    size: int = actor.options.get("batch", settings.jobs_per_hint)
    return size
