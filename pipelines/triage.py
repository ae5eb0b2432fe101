"""The triage pipeline: the steps of every new ticket."""

from actors.intake import classify, intake
from actors.notify import notify
from aura.jobs.pipeline import Pipeline

triage = Pipeline("triage", intake, classify, notify)
