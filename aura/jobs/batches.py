"""How many jobs go together: in one hint, in one claim, in one call of a step."""

from __future__ import annotations

from typing import Any

import dramatiq

from aura.settings import Settings


def option(actor: dramatiq.Actor[Any, Any], name: str, settings: Settings) -> Any:
    """Return an actor's option; one that is a function of the settings is called, as its actor is declared before them."""
    value = actor.options.get(name)
    return value(settings) if callable(value) else value


def batch_size(actor: dramatiq.Actor[Any, Any], settings: Settings) -> int:
    """Return the most jobs of the actor that go together: its own option `batch`, or AURA_JOBS_PER_HINT."""
    size: int = option(actor, "batch", settings) or settings.jobs_per_hint
    return size
