"""Triage: what every new ticket passes."""

from actors.tickets import classify, intake, notify
from pipelines.pipeline import Pipeline

triage = Pipeline("triage", intake, classify, notify)
