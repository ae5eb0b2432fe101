"""Engines that read a ticket and say what it is about and how urgent it is.

``choose_engine(settings).classify(questions)`` is all the other packages need. Importing this package imports neither
openai nor scikit-learn.
"""

from __future__ import annotations

from aura.ai.engines.base import Engine, EngineError, Question, Verdict
from aura.ai.engines.factory import choose_engine

__all__ = ["Engine", "EngineError", "Question", "Verdict", "choose_engine"]
