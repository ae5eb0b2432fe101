"""Injects failpoints and mutants; Python imports this at its start, for a run puts this folder on PYTHONPATH."""

import os
from pathlib import Path

if folder := os.environ.get("CHAOS_FOLDER"):
    from tests.chaos import mutants, seams

    seams.install(Path(folder), mutants.hooks(os.environ.get("CHAOS_MUTANT", "")))
