"""The tables: what was reported, what was said about it, what is promised, and what became of it."""

from db.models.base import Base, Id, Json
from db.models.clock import Lease, Sample, ScheduleControl, ScheduleRun
from db.models.jobs import Attempt, DeadLetter, Event, IdempotencyKey, Job, QueueControl, Worker
from db.models.people import Agent, ChannelRate, Endpoint, Notification, Preference, Subscription
from db.models.tickets import (
    AiCall,
    AnalysisBatch,
    Comment,
    Correction,
    Incident,
    LocalModel,
    Mail,
    Ticket,
    VerdictRecord,
)

__all__ = [
    "Agent",
    "AiCall",
    "AnalysisBatch",
    "Attempt",
    "Base",
    "ChannelRate",
    "Comment",
    "Correction",
    "DeadLetter",
    "Endpoint",
    "Event",
    "Id",
    "IdempotencyKey",
    "Incident",
    "Job",
    "Json",
    "Lease",
    "LocalModel",
    "Mail",
    "Notification",
    "Preference",
    "QueueControl",
    "Sample",
    "ScheduleControl",
    "ScheduleRun",
    "Subscription",
    "Ticket",
    "VerdictRecord",
    "Worker",
]
