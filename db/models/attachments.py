"""Tables of attachments: one row for each file of a ticket, and its content in chunks when the database stores it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, LargeBinary, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id
from db.time import UtcDateTime, now


class Attachment(Base):
    """A file of a ticket, without its content; retention deletes a row whose ticket is deleted, with the content."""

    __tablename__ = "attachments"
    __table_args__ = (Index("ix_attachments_ticket", "ticket_id", "id"), Index("ix_attachments_mail", "mail_id"))

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id", ondelete="SET NULL"))
    #: The mail that contained the file; None for an upload.
    mail_id: Mapped[int | None] = mapped_column(ForeignKey("inbound_mails.id", ondelete="SET NULL"))
    name: Mapped[str] = mapped_column(String(255))
    #: The type that the content has, which may differ from the type that the sender declared.
    content_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int] = mapped_column(BigInteger)
    #: Pixels of a picture that pages can show; None for any other file.
    width: Mapped[int | None] = mapped_column(Integer)
    height: Mapped[int | None] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(String(64), default="", server_default="")
    #: database, folder or s3; empty when the content is not stored.
    storage: Mapped[str] = mapped_column(String(16), default="", server_default="")
    #: Why the content is not stored.
    reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    #: Shown within the text of its mail, such as a logo in a signature.
    inline: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now(), index=True)


class AttachmentChunk(Base):
    """A part of the content of an attachment, so that no process reads the whole content at once."""

    __tablename__ = "attachment_chunks"

    attachment_id: Mapped[int] = mapped_column(ForeignKey("attachments.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
