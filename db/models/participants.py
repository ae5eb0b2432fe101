"""Table of participants: people in Cc of a ticket's mails, who are notified of public replies."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base
from db.time import UtcDateTime, now


class TicketParticipant(Base):
    """A person in Cc of a ticket; one who was removed stays, so that the next mail does not add them again."""

    __tablename__ = "ticket_participants"

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True)
    #: The e-mail address in lower case.
    address: Mapped[str] = mapped_column(String(254), primary_key=True)
    #: The display name as the mail gave it.
    name: Mapped[str] = mapped_column(String(200), default="", server_default="")
    #: Who added the person: the sender of the mail, or an agent.
    added_by: Mapped[str] = mapped_column(String(254), default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
