"""The pipelines, each the order of its steps. Importing this package registers them by their names."""

from pipelines.reanalysis import reanalysis
from pipelines.triage import triage

__all__ = ["reanalysis", "triage"]
