"""Which engine answers: the local one, or with a key the remote one behind its guards, with the local one at its side."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from aura.ai.engines.base import Engine
from aura.ai.engines.local import LocalEngine
from aura.ai.engines.model import Model, read_model
from aura.settings import Settings

_making = threading.Lock()


class _Learned:
    """The local model that was learned here and is active; none is the one that is shipped."""

    version = ""
    model: Model | None = None


def use_model(version: str, body: bytes | None) -> None:
    """Let the local engine of this process answer with this model, gzipped JSON; an empty version is the shipped one."""
    if version != _Learned.version:
        _Learned.model = read_model(gzip.decompress(body)) if version and body else None
        _Learned.version = version if _Learned.model else ""


def model_in_use() -> str:
    """Return the version that `use_model` set; empty for the shipped model."""
    return _Learned.version


def make_engine(settings: Settings, spent_today: Callable[[], float] = lambda: 0.0) -> Engine:
    """Return the engine the settings ask for. Cheap to call again: it is kept per process and settings.

    `spent_today` tells US dollars, for a budget that is kept in this process alone and begins anew with it.
    """
    local = local_engine(settings)
    if not settings.openai_api_key:
        return local
    with _making:  # lru_cache lets threads that come together make one each, and each its own budget
        # a forked worker must not share its parent's connections
        guarded = _guarded(os.getpid(), settings, spent_today)
    guarded.local = local
    engine: Engine = guarded
    return engine


def local_engine(settings: Settings) -> LocalEngine:
    """Return the local engine with the model that `use_model` set."""
    return _local(settings, _Learned.version)


@lru_cache(maxsize=4)
def _local(settings: Settings, version: str) -> LocalEngine:
    return LocalEngine(settings.categories, _Learned.model if version else None, settings.auto_apply_precision)


@lru_cache(maxsize=4)
def _guarded(_process: int, settings: Settings, spent_today: Callable[[], float]) -> Any:
    # here, for the imports cost most of a second, and nothing of them is needed without a key
    from aura.ai.engines.openai import OpenAIEngine
    from aura.ai.engines.remote import GuardedEngine
    from aura.ai.engines.shared_state import make_shared_state

    store = make_shared_state(settings)
    guarded = GuardedEngine(OpenAIEngine(settings), _local(settings, ""), store, settings)
    guarded.budget.opened_with(spent_today())
    return guarded
