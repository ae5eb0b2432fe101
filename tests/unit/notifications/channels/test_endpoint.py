"""The base class of endpoint channels: the meaning of answers, against a real HTTP server."""

from __future__ import annotations

import logging
import socket
import threading

import pytest

from aura.notifications import ChannelError, safe_http
from aura.notifications.channels import CONSOLE_URL
from aura.notifications.channels.endpoint import EndpointChannel
from aura.notifications.channels.slack import SlackChannel
from aura.notifications.channels.teams import TeamsChannel
from aura.notifications.channels.webhook import WebhookChannel
from tests.conftest import wait_until
from tests.receiver import PEM, Receiver, Reply
from tests.unit.notifications.channels.helpers import message, refused, sender

KINDS = [SlackChannel, TeamsChannel, WebhookChannel]


@pytest.mark.parametrize("kind", KINDS)
def test_an_accepted_message_is_sent_under_its_id(kind: type[EndpointChannel], receiver: Receiver) -> None:
    for status in (200, 201, 202, 204):
        receiver.reply = lambda _, status=status: Reply(status, body=b"")  # type: ignore[misc]
        assert sender(kind, receiver).send(message(url=f"{receiver.url}/hook?key=1")) == message().id
    assert {each.path for each in receiver.arrived} == {"/hook?key=1"}
    assert {each.headers["content-type"] for each in receiver.arrived} == {"application/json"}
    # the same bytes at every try
    assert len({each.body for each in receiver.arrived}) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "permanent", "unsure"),
    [
        *((status, True, False) for status in (301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 410, 413, 415, 422)),
        *((status, False, False) for status in (408, 409, 425, 429, 500, 501, 503, 507)),
        *((status, False, True) for status in (502, 504)),
    ],
)
def test_a_status_is_permanent_temporary_or_in_doubt(
    kind: type[EndpointChannel], receiver: Receiver, status: int, permanent: bool, unsure: bool
) -> None:
    receiver.reply = lambda _: Reply(status, body=b"no_service")
    error = refused(sender(kind, receiver), url=receiver.url)
    assert (error.permanent, error.in_doubt, error.retry_after) == (permanent, unsure, None)
    assert error.counts_attempt
    assert str(error).startswith(f"endpoint desk answered {status}")


@pytest.mark.parametrize(("kind", "pauses"), [(SlackChannel, True), (TeamsChannel, True), (WebhookChannel, False)])
@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_of_a_shared_provider_pauses_the_channel(
    kind: type[EndpointChannel], pauses: bool, status: int, receiver: Receiver
) -> None:
    receiver.reply = lambda _: Reply(status, {"Retry-After": "7"})
    error = refused(sender(kind, receiver), url=receiver.url)
    assert (error.retry_after, error.permanent, error.pauses_queue) == (7.0, False, pauses)


def test_a_request_without_an_answer_is_in_doubt(receiver: Receiver) -> None:
    receiver.reply = lambda _: Reply(0)
    error = refused(sender(WebhookChannel, receiver), url=receiver.url)
    assert (error.permanent, error.in_doubt) == (False, True)
    assert len(receiver.arrived) == 1


def test_a_silent_receiver_leaves_the_delivery_in_doubt(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_http, "WAIT_SECONDS", 0.1)
    released = threading.Event()
    receiver.reply = lambda _: Reply() if released.wait(30) else Reply(0)
    error = refused(sender(WebhookChannel, receiver), url=receiver.url)
    released.set()
    assert (error.permanent, error.in_doubt) == (False, True)
    assert "TimeoutError" in str(error)


def test_a_refused_connection_is_not_in_doubt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
    error = refused(WebhookChannel([host]), url=f"http://{host}")
    assert (error.permanent, error.in_doubt) == (False, False)


def test_a_forbidden_address_is_a_permanent_error(receiver: Receiver) -> None:
    error = refused(WebhookChannel(), url=receiver.url)
    assert (error.permanent, error.in_doubt) == (True, False)
    assert receiver.arrived == []


def test_over_tls_the_receiver_must_prove_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(tls=True) as receiver:
        error = refused(sender(WebhookChannel, receiver), url=receiver.url)
        assert (error.permanent, error.in_doubt) == (False, False)
        assert "SSLCertVerificationError" in str(error)
        assert receiver.arrived == []
        # with its authority named, it is trusted
        monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
        assert sender(WebhookChannel, receiver).send(message(url=receiver.url)) == message().id


@pytest.mark.parametrize("kind", KINDS)
def test_no_error_repeats_the_secret_parts_of_a_url(kind: type[EndpointChannel], receiver: Receiver) -> None:
    url = f"{receiver.url}/services/T0SECRET/B1SECRET/%78yzSECRET?sig=longSECRET"
    says = [
        b"no such hook",
        b"Cannot POST /services/T0SECRET/B1SECRET",
        b"gone: xyzSECRET",
        b"<p>bad signature longSECRE",
        b"x" * 195 + b"T0SECRET",
    ]
    for body in says:
        receiver.reply = lambda _, body=body: Reply(404, body=body)  # type: ignore[misc]
        error = refused(sender(kind, receiver), url=url)
        assert "SECRE" not in str(error)
    assert "no such hook" in str(refused_with(kind, receiver, url, says[0]))
    assert "SECRET" not in repr(message(url=url, keys=("whsec_SECRET",)))


def refused_with(kind: type[EndpointChannel], receiver: Receiver, url: str, body: bytes) -> ChannelError:
    receiver.reply = lambda _: Reply(404, body=body)
    return refused(sender(kind, receiver), url=url)


def test_an_error_quotes_the_answer_as_one_short_line(receiver: Receiver) -> None:
    receiver.reply = lambda _: Reply(400, body=b"a\r\n\x1b[31mb\xff" + "\u202e".encode() + b"z" * 9000)
    error = str(refused(sender(SlackChannel, receiver), url=receiver.url))
    assert "\n" not in error
    assert error.isprintable()
    assert len(error) < 300


@pytest.mark.parametrize("kind", KINDS)
def test_the_console_url_sends_nothing(kind: type[EndpointChannel], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert kind().send(message(url=CONSOLE_URL)) == message().id
    assert "message logged instead of sent" in caplog.text


def test_a_hanging_receiver_delays_no_other_delivery(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_http, "WAIT_SECONDS", 120.0)
    monkeypatch.setattr(safe_http, "TOTAL_SECONDS", 120.0)
    released = threading.Event()
    done: list[str] = []
    with Receiver() as hanging:
        hanging.reply = lambda _: Reply() if released.wait(120) else Reply(0)
        hook = WebhookChannel([receiver.host, hanging.host])
        thread = threading.Thread(target=lambda: done.append(hook.send(message(url=hanging.url))))
        thread.start()
        try:
            wait_until(lambda: hanging.arrived, 60, "nothing has arrived at the one that hangs")
            assert hook.send(message(url=receiver.url)) == message().id
            assert done == []
        finally:
            released.set()
            thread.join(60)
    assert done == [message().id]


def test_a_message_without_a_ticket_has_no_link() -> None:
    bare = message(ticket_id=0, link="")
    assert len(SlackChannel().body(bare)["blocks"]) == 2  # type: ignore[arg-type]
    assert "actions" not in TeamsChannel().body(bare)["attachments"][0]["content"]  # type: ignore[index]
