"""Which engine answers: the local one, or with a key OpenAI, where the local one steps in.

The local engine answers whatever OpenAI does not, so that every ticket gets a verdict at once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from time import monotonic

from ai.engine import Engine, EngineError, Question, Verdict
from ai.local import LocalEngine
from settings import Settings

#: Tickets of one batch that the primary engine is asked about at the same time.
AT_ONCE = 8
#: After this many failures in a row that another try might heal, the primary engine is left alone for a while.
FAILURES = 5
#: Seconds for which it is left alone, unless it named a time itself; and the longest time it may name.
PAUSE, LONGEST_PAUSE = 10.0, 300.0


class Relief:
    """Asks the primary engine about each ticket and lets the relief answer where the primary raises EngineError.

    A primary that asks for a pause (``retry_after``), or fails several times in a row, is not asked until the pause is
    over, so an outage costs one timeout and not one per ticket.
    """

    def __init__(self, primary: Engine, relief: Engine) -> None:
        self.primary = primary
        self.relief = relief
        self.name = primary.name
        self._failures = 0
        self._paused_until = 0.0
        self._pause_reason = ""

    def classify(self, questions: Sequence[Question]) -> list[Verdict]:
        """Return one verdict per question, in order; ``fallback`` says why where the relief answered."""
        if len(questions) < 2:
            return [self._one(question) for question in questions]
        with ThreadPoolExecutor(min(AT_ONCE, len(questions)), thread_name_prefix="classify") as pool:
            return list(pool.map(self._one, questions))

    def _one(self, question: Question) -> Verdict:
        if monotonic() < self._paused_until:
            reason = self._pause_reason
        else:
            try:
                verdict = self.primary.classify([question])[0]
            except EngineError as error:
                reason = str(error)
                self._note(error)
            else:
                self._failures = 0
                return verdict
        return replace(self.relief.classify([question])[0], fallback=f"{self.primary.name}: {reason}")

    def _note(self, error: EngineError) -> None:
        self._failures += not error.permanent
        pause = error.retry_after or (PAUSE if self._failures >= FAILURES else 0.0)
        if pause:
            self._failures = 0
            self._pause_reason = str(error)
            self._paused_until = monotonic() + min(pause, LONGEST_PAUSE)


def choose_engine(settings: Settings) -> Engine:
    """Return the engine the settings ask for: the local one, or with a key OpenAI relieved by the local one.

    Cheap to call again: the engine is kept per process and settings.
    """
    # a forked worker must not share its parent's connections
    return _engine(os.getpid(), settings)


@lru_cache(maxsize=4)
def _engine(_process: int, settings: Settings) -> Engine:
    local = LocalEngine(settings.categories)
    if not settings.openai_api_key:
        return local
    from ai.openai_engine import OpenAIEngine

    return Relief(OpenAIEngine(settings), local)
