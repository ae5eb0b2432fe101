"""Which step follows which. Workers find the pipelines here by their names, see AURA_PIPELINES."""

from pipelines.reanalysis import reanalysis
from pipelines.triage import triage

__all__ = ["reanalysis", "triage"]
