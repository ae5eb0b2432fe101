"""Large messages: a channel keeps the first kilobyte of a message that is too long, and drops the rest as it arrives.

RabbitMQ delivers messages of up to `max_message_size` (128 MiB before version 4), and has no limit for a consumer. pika joins
the frames of a message before it passes it on, so three messages of 100 MB took a gigabyte. Its connection has no hook for
frames; the assembler of a channel is replaced instead, and tests/unit/jobs/rabbitmq/test_large_messages.py holds the names.
"""

from __future__ import annotations

from typing import Any

from pika import frame
from pika.channel import ContentFrameAssembler

#: The longest message that is read, in bytes, and the bytes that are kept of a longer one.
SIZE_LIMIT, HEAD_BYTES = 1_000_000, 1024


class TruncatedBody(bytes):
    """The first bytes of a message that is longer than SIZE_LIMIT, and its size."""

    size: int

    def __new__(cls, head: bytes, size: int) -> TruncatedBody:
        """Keep HEAD_BYTES of the bytes."""
        body = super().__new__(cls, head[:HEAD_BYTES])
        body.size = size
        return body


def size_of(body: bytes) -> int:
    """Return the size of a message as it was published."""
    return body.size if isinstance(body, TruncatedBody) else len(body)


class BoundedAssembler(ContentFrameAssembler):  # type: ignore[misc]  # pika ships no types
    """Joins the frames of messages; of one that is longer than SIZE_LIMIT, it returns a TruncatedBody."""

    def process(self, frame_value: Any) -> Any:
        """Take a frame. Returns the message when it is complete, else None."""
        header = self._header_frame
        if isinstance(frame_value, frame.Body) and header is not None and header.body_size > SIZE_LIMIT:
            # the size counts, and the bytes beyond the first ones do not stay
            self._seen_so_far += len(frame_value.fragment)
            kept = sum(map(len, self._body_fragments))
            if kept < HEAD_BYTES:
                self._body_fragments.append(bytes(frame_value.fragment[: HEAD_BYTES - kept]))
            if self._seen_so_far < header.body_size:
                return None
            method, properties, head = self._finish()
            return method, properties, TruncatedBody(head, header.body_size)
        return super().process(frame_value)


def bound(channel: Any) -> None:
    """Bound the messages of a blocking channel."""
    channel._impl._content_assembler = BoundedAssembler()
