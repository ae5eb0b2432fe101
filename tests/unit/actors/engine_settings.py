"""Settings with the local and with a remote engine."""

from __future__ import annotations

from typing import Any

from aura.settings import Settings


def settings(**changes: Any) -> Settings:
    return Settings(_env_file=None, **changes)


LOCAL, REMOTE = settings(), settings(OPENAI_API_KEY="sk-test")
#: A remote engine that is called in the worker's threads.
ONE_BY_ONE = settings(OPENAI_API_KEY="sk-test", ai_concurrency=0)
