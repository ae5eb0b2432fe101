"""The pipelines: the order of the steps. Workers load them by name, see AURA_PIPELINES."""

from pipelines.reanalysis import reanalysis
from pipelines.triage import triage

__all__ = ["reanalysis", "triage"]
