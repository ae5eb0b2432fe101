"""Starting a pipeline by its name, from below: a step must not import the house above it.

The module that holds the pipelines is named by the setting AURA_PIPELINES, as Django names its ROOT_URLCONF.
"""

from __future__ import annotations

import importlib

from aura.settings import get_settings


def start(name: str, ticket_id: int, priority: int = 0) -> None:
    """Promise the first step of a pipeline for a ticket. Raises LookupError for an unknown pipeline."""
    module = importlib.import_module(get_settings().pipelines)
    pipeline = getattr(module, name, None)
    if pipeline is None:
        raise LookupError(f"AURA_PIPELINES={module.__name__} holds no pipeline {name!r}")
    pipeline.send_with_options(args=(ticket_id,), priority=priority)
