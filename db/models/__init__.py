"""SQLAlchemy models of all tables."""

from db.models.access import ApiKey, AuditEntry, LoginFailure, LoginLink, RecoveryCode, SigningKey, User, UserSession
from db.models.attachments import Attachment, AttachmentChunk
from db.models.base import Base, Id, Json
from db.models.database import DatabaseFence, WriteProbe
from db.models.jobs import Attempt, DeadLetter, IdempotencyKey, Job, OutboxEvent, QueueControl, Worker
from db.models.oauth import OAuthLogin
from db.models.participants import TicketParticipant
from db.models.people import Agent, ChannelRate, Endpoint, Notification, Preference, Subscription
from db.models.schedule import Alert, LeaderLease, MetricSample, ScheduleControl, ScheduleRun
from db.models.shared import SharedCounter, SharedText
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
    "Alert",
    "AnalysisBatch",
    "ApiKey",
    "Attachment",
    "AttachmentChunk",
    "Attempt",
    "AuditEntry",
    "Base",
    "ChannelRate",
    "Comment",
    "Correction",
    "DatabaseFence",
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
    "LoginFailure",
    "LoginLink",
    "MetricSample",
    "Notification",
    "OAuthLogin",
    "OutboxEvent",
    "Preference",
    "QueueControl",
    "RecoveryCode",
    "ScheduleControl",
    "ScheduleRun",
    "SharedCounter",
    "SharedText",
    "SigningKey",
    "Subscription",
    "Ticket",
    "TicketParticipant",
    "User",
    "UserSession",
    "VerdictRecord",
    "Worker",
    "WriteProbe",
]
