"""Triage: the pipeline of every new ticket."""

from actors.classify import classify
from actors.intake import intake
from actors.notify import notify
from aura.jobs.pipeline import Pipeline

triage = Pipeline("triage", intake, classify, notify)
