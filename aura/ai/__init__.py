"""Engines that read a ticket and say what it is about and how urgent it is.

``make_engine(settings).classify(questions)`` is all the other packages need. Importing this package imports neither
openai nor scikit-learn.
"""

from __future__ import annotations

from aura.ai.engines.base import ClassificationRequest, Engine, EngineError, Verdict
from aura.ai.engines.factory import make_engine

__all__ = ["ClassificationRequest", "Engine", "EngineError", "Verdict", "make_engine"]
