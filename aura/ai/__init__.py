"""AI engines: classify tickets by category and priority.

``make_engine(settings).classify(requests)`` is the entry point for other packages. Importing this package imports neither
openai nor scikit-learn.
"""

from __future__ import annotations

from aura.ai.engines.base import ClassificationRequest, Engine, EngineError, Verdict
from aura.ai.engines.factory import make_engine

__all__ = ["ClassificationRequest", "Engine", "EngineError", "Verdict", "make_engine"]
