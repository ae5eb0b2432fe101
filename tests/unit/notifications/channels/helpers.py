"""Messages, receivers and endpoint channels for the tests of the channels."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aura.notifications import ChannelError, OutboundMessage
from aura.notifications.channels import Channel
from aura.notifications.channels.endpoint import EndpointChannel
from tests.receiver import Receiver

LINK = "https://aura.example.com/tickets/17"


def message(**changes: Any) -> OutboundMessage:
    facts: dict[str, Any] = {
        "id": "0123456789abcdef0123456789abcdef",
        "ticket_id": 17,
        "recipient": "desk",
        "subject": "[Aura #17] VPN",
        "text": "Hello,\n\nyour ticket.\n",
        "event": "ticket.classified",
        "link": LINK,
        "created_at": datetime(2026, 11, 25, 12, 0, tzinfo=UTC),
    }
    return OutboundMessage(**(facts | changes))


def sender(kind: type[EndpointChannel], receiver: Receiver) -> EndpointChannel:
    return kind([receiver.host])


def refused(channel: Channel, **changes: Any) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        channel.send(message(**changes))
    return caught.value
