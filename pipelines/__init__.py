"""The pipelines: each names its steps in order. Importing this package registers them by their names."""

from pipelines.reanalysis import reanalysis
from pipelines.triage import triage

__all__ = ["reanalysis", "triage"]
