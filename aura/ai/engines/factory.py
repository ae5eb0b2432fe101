"""Engine factory, and the process-wide state of ``aura.ai``: the engines by settings, and the active local model.

Without OPENAI_API_KEY the local engine classifies; with it, the remote engine with the local engine as fallback.
"""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aura.ai.engines.base import Engine
from aura.ai.engines.local import LocalEngine
from aura.ai.engines.model import Model, read_model
from aura.settings import Settings

if TYPE_CHECKING:
    from aura.ai.engines.remote import RemoteEngineWithFallback


@dataclass(slots=True)
class _State:
    """The state of this process; the circuit breaker, the budget and the cache belong to a remote engine."""

    #: Held while an engine is made, so that threads share one engine and one budget.
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: The active local model and its version; None and "" for the shipped model.
    model: Model | None = None
    version: str = ""
    #: With the active model, by settings.
    local: dict[Settings, LocalEngine] = field(default_factory=dict)
    #: By process id too: a forked worker must not share the connections of its parent.
    remote: dict[tuple[int, Settings], RemoteEngineWithFallback] = field(default_factory=dict)
    #: The engine that was asked for last, found without a hash of the settings.
    made: tuple[Settings, RemoteEngineWithFallback] | None = None


_state = _State()


def reset() -> None:
    """Drop all engines and activate the shipped model, for tests."""
    global _state
    _state = _State()


def use_model(version: str, body: bytes | None) -> None:
    """Activate a local model of this version, gzipped JSON; an empty version is the shipped model. Raises InvalidModel."""
    if version == _state.version:
        return
    model = read_model(gzip.decompress(body)) if version and body else None
    with _state.lock:
        _state.model, _state.version = model, version if model else ""
        _state.local.clear()


def model_in_use() -> str:
    """Return the version that `use_model` activated; empty for the shipped model."""
    return _state.version


def make_engine(
    settings: Settings, costs_today: Callable[[], float] = lambda: 0.0, running_calls: Callable[[], int] = lambda: 0
) -> Engine:
    """Return the engine for the settings; made once per process and settings.

    The day's budget starts from ``costs_today`` in US dollars, and from ``running_calls`` (see `Budget`).
    """
    local = local_engine(settings)
    if not settings.openai_api_key:
        return local
    key = os.getpid(), settings
    with _state.lock:
        if key not in _state.remote:
            _state.remote[key] = _remote_engine(settings, local, costs_today, running_calls)
        engine = _state.remote[key]
        _state.made = settings, engine
    engine.local = local
    return engine


def concurrency(settings: Settings) -> int:
    """Return how many calls of the remote engine this process may have in flight now; 0: single tickets are not asynchronous.

    AURA_AI_CONCURRENCY, or less while the provider asks for fewer calls. Makes no engine.
    """
    if not settings.openai_api_key or not settings.ai_concurrency:
        return 0
    made = _state.made
    return made[1].single.concurrency.limit if made is not None and made[0] is settings else settings.ai_concurrency


def local_engine(settings: Settings) -> LocalEngine:
    """Return the local engine with the active model."""
    with _state.lock:
        if settings not in _state.local:
            _state.local[settings] = LocalEngine(settings.categories, _state.model, settings.auto_apply_precision)
        return _state.local[settings]


def _remote_engine(
    settings: Settings, local: Engine, costs_today: Callable[[], float], running_calls: Callable[[], int]
) -> RemoteEngineWithFallback:
    # imported here: the imports take most of a second, and are needed with a key alone
    from aura.ai.engines.openai import OpenAIEngine
    from aura.ai.engines.remote import RemoteEngineWithFallback
    from aura.ai.engines.shared_state import make_shared_state

    shared_state = make_shared_state(settings)
    return RemoteEngineWithFallback(OpenAIEngine(settings), local, shared_state, settings, costs_today, running_calls)
