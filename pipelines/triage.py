"""Triage: what every new ticket passes."""

from actors.telling import notify
from actors.tickets import classify, intake
from pipelines.pipeline import Pipeline

triage = Pipeline("triage", intake, classify, notify)
