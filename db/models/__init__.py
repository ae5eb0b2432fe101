"""The tables: what was reported, what was said about it, what is promised, and what became of it."""

from db.models.access import ApiKey, Audit, Login, User
from db.models.base import Base, Id, Json
from db.models.jobs import Attempt, DeadLetter, Event, IdempotencyKey, Job, QueueControl, Worker
from db.models.people import Agent, ChannelRate, Endpoint, Notification, Preference, Subscription
from db.models.schedule import Lease, Sample, ScheduleControl, ScheduleRun
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
    "ApiKey",
    "Attempt",
    "Audit",
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
    "Login",
    "Mail",
    "Notification",
    "Preference",
    "QueueControl",
    "Sample",
    "ScheduleControl",
    "ScheduleRun",
    "Subscription",
    "Ticket",
    "User",
    "VerdictRecord",
    "Worker",
]
