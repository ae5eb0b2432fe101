"""The webhook transport: signed JSON."""

from __future__ import annotations

import json

import pytest

from aura.notifications.channels.webhook import WebhookChannel
from aura.notifications.signatures import InvalidSignature, new_secret, verify
from tests.receiver import Receiver
from tests.unit.notifications.channels.helpers import message, refused, sender


def test_a_webhook_is_signed_with_every_key_and_has_the_id_of_the_message(receiver: Receiver) -> None:
    new, old = new_secret(), new_secret()
    facts = {"event": "ticket.classified", "title": "</script>\ud800\0 \u202e" + "x" * 100_000}
    hook = sender(WebhookChannel, receiver)
    for _ in range(2):
        hook.send(message(url=receiver.url, keys=(new, old), data=facts))
    for arrived in receiver.arrived:
        # a receiver that knows either key is content, and one that knows another is not
        for key in (new, old):
            assert verify([key], arrived.headers, arrived.body) == message().id == arrived.headers["webhook-id"]
        with pytest.raises(InvalidSignature):
            verify([new_secret()], arrived.headers, arrived.body)
        payload = json.loads(arrived.body)
        assert (payload["type"], payload["timestamp"]) == ("ticket.classified", "2026-11-25T12:00:00+00:00")
        assert payload["data"] == facts
    assert receiver.arrived[0].body == receiver.arrived[1].body


def test_a_webhook_without_data_contains_subject_and_text(receiver: Receiver) -> None:
    sender(WebhookChannel, receiver).send(message(url=receiver.url))
    [arrived] = receiver.arrived
    assert "webhook-signature" not in arrived.headers
    data = json.loads(arrived.body)["data"]
    assert data == {"ticket_id": 17, "subject": "[Aura #17] VPN", "text": "Hello,\n\nyour ticket.\n"}


def test_an_invalid_key_is_a_permanent_error(receiver: Receiver) -> None:
    error = refused(sender(WebhookChannel, receiver), url=receiver.url, keys=("whsec_short",))
    assert error.permanent
    assert "rotate its key" in str(error)
    assert "whsec_short" not in str(error)
    assert receiver.arrived == []
