"""Triage: what every new ticket passes."""

from actors.intake import classify, intake
from actors.notify import notify
from aura.jobs.pipeline import Pipeline

triage = Pipeline("triage", intake, classify, notify)
