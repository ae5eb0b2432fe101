"""Notifications and their recipients: agents, subscriptions, preferences, endpoints, and the rates of channels."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.encryption import EncryptedText
from db.models.base import Base, Id, Json
from db.time import UtcDateTime, now


class Notification(Base):
    """One message to one recipient on one channel, unique by its dedupe key."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("ix_notifications_ticket", "ticket_id"),
        Index("ix_notifications_recent", "channel", "recipient", "created_at"),
        Index("ix_notifications_created", "created_at", postgresql_using="brin"),
        Index(
            "ix_notifications_delayed",
            "channel",
            "recipient",
            "delayed_until",
            postgresql_where=text("state = 'delayed'"),
            sqlite_where=text("state = 'delayed'"),
        ),
        Index(
            "ix_notifications_in_doubt",
            "id",
            postgresql_where=text("state = 'in_doubt'"),
            sqlite_where=text("state = 'in_doubt'"),
        ),
        Index(
            "ix_notifications_digest",
            "digest_id",
            postgresql_where=text("digest_id IS NOT NULL"),
            sqlite_where=text("digest_id IS NOT NULL"),
        ),
    )

    #: A UUID; the Message-ID of its e-mail and the key of its delivery.
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(80))
    channel: Mapped[str] = mapped_column(String(40))
    recipient: Mapped[str] = mapped_column(String(254))
    role: Mapped[str] = mapped_column(String(40), default="")
    dedupe_key: Mapped[str] = mapped_column(String(400), unique=True)
    subject: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    #: The facts as a program reads them, for webhooks.
    data: Mapped[dict[str, Any]] = mapped_column(Json, default=dict, server_default="{}")
    #: enqueued -> sent; delayed -> digested, or enqueued; on an at-most-once channel enqueued -> sending -> sent or in_doubt.
    #: A notification whose delivery is a dead letter stays enqueued.
    state: Mapped[str] = mapped_column(String(16), default="enqueued")
    provider_id: Mapped[str] = mapped_column(Text, default="")
    #: The end of its delay by quiet hours, a digest or a storm.
    delayed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: The digest that it is part of.
    digest_id: Mapped[str | None] = mapped_column(String(32))
    #: The span that wrote it, while it is delayed.
    traceparent: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Agent(Base):
    """A person who solves tickets, with their skills (categories) and capacity (open tickets)."""

    __tablename__ = "agents"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    email: Mapped[str] = mapped_column(String(254))
    team: Mapped[str] = mapped_column(String(80), default="")
    skills: Mapped[list[str]] = mapped_column(Json, default=list)
    capacity: Mapped[int] = mapped_column(Integer, default=10)
    available: Mapped[bool] = mapped_column(Boolean, default=True)


class Subscription(Base):
    """Notifies a recipient of events; an empty condition matches every ticket."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        UniqueConstraint(
            "recipient", "channel", "event", "category", "priority", "department", "team", name="uq_subscriptions_all"
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    #: An e-mail address, a user name (in_app), or the name of an endpoint (the other channels).
    recipient: Mapped[str] = mapped_column(String(254))
    channel: Mapped[str] = mapped_column(String(40))
    #: An event such as ticket.escalated, or * for all.
    event: Mapped[str] = mapped_column(String(80), default="*")
    category: Mapped[str] = mapped_column(String(80), default="")
    #: The lowest priority.
    priority: Mapped[str] = mapped_column(String(16), default="")
    department: Mapped[str] = mapped_column(String(200), default="")
    #: The team of the assignee.
    team: Mapped[str] = mapped_column(String(80), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Preference(Base):
    """The preference of a recipient: language, quiet hours, digest."""

    __tablename__ = "preferences"

    #: An e-mail address or a user name, in lower case.
    recipient: Mapped[str] = mapped_column(String(254), primary_key=True)
    #: en or de; empty takes the ticket's.
    language: Mapped[str] = mapped_column(String(8), default="", server_default="")
    #: The zone of the times here; empty takes AURA_TIMEZONE.
    timezone: Mapped[str] = mapped_column(String(64), default="", server_default="")
    #: Quiet hours, as 22:00 and 07:00; empty for none. They do not delay critical tickets.
    quiet_from: Mapped[str] = mapped_column(String(5), default="", server_default="")
    quiet_to: Mapped[str] = mapped_column(String(5), default="", server_default="")
    #: Empty for single notifications, hourly, or daily at `digest_at`. Critical tickets are not delayed.
    digest: Mapped[str] = mapped_column(String(8), default="", server_default="")
    digest_at: Mapped[str] = mapped_column(String(5), default="08:00", server_default="08:00")
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Endpoint(Base):
    """A named URL of a channel, and the keys that sign its messages."""

    __tablename__ = "endpoints"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    #: A channel with endpoints (see `aura.notifications.channels.registry`).
    channel: Mapped[str] = mapped_column(String(40))
    #: A secret: it permits to write to the endpoint.
    url: Mapped[str] = mapped_column(EncryptedText("endpoints.url"))
    #: The signing key, and the previous one, which signs too until it is removed.
    secret: Mapped[str] = mapped_column(EncryptedText("endpoints.secret", 200), default="", server_default="")
    old_secret: Mapped[str] = mapped_column(EncryptedText("endpoints.secret", 200), default="", server_default="")
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class ChannelRate(Base):
    """The time of the next turn of a channel with a rate limit, for all workers."""

    __tablename__ = "channel_rates"

    channel: Mapped[str] = mapped_column(String(40), primary_key=True)
    free_at: Mapped[datetime] = mapped_column(UtcDateTime)
