"""SQLAlchemy models of all tables."""

from db.models.access import ApiKey, AuditEntry, User, UserSession
from db.models.base import Base, Id, Json
from db.models.jobs import Attempt, DeadLetter, IdempotencyKey, Job, OutboxEvent, QueueControl, Worker
from db.models.people import Agent, ChannelRate, Endpoint, Notification, Preference, Subscription
from db.models.schedule import LeaderLease, MetricSample, ScheduleControl, ScheduleRun
from db.models.tickets import (
    ARRIVED_AT,
    AiCall,
    AnalysisBatch,
    Comment,
    Correction,
    InboundMail,
    Incident,
    LocalModel,
    Ticket,
    VerdictRecord,
)

__all__ = [
    "ARRIVED_AT",
    "Agent",
    "AiCall",
    "AnalysisBatch",
    "ApiKey",
    "Attempt",
    "AuditEntry",
    "Base",
    "ChannelRate",
    "Comment",
    "Correction",
    "DeadLetter",
    "Endpoint",
    "Id",
    "IdempotencyKey",
    "InboundMail",
    "Incident",
    "Job",
    "Json",
    "LeaderLease",
    "LocalModel",
    "MetricSample",
    "Notification",
    "OutboxEvent",
    "Preference",
    "QueueControl",
    "ScheduleControl",
    "ScheduleRun",
    "Subscription",
    "Ticket",
    "User",
    "UserSession",
    "VerdictRecord",
    "Worker",
]
