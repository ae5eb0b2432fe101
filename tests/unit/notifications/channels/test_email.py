"""The SMTP transport and the console transport, against a real SMTP server."""

from __future__ import annotations

import asyncio
import email
import json
import logging
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import default
from html import escape
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from aura.notifications import ChannelError, OutboundMessage, RenderedMessage, as_html
from aura.notifications.channels.console import ConsoleChannel
from aura.notifications.channels.email import EmailChannel
from aura.notifications.channels.email.mime import compose
from aura.notifications.sanitize import one_line
from aura.settings import SettingsError
from tests.conftest import ROOT

SENDER = "Aura <aura@example.com>"


class PrivatePort(Controller):
    """A server on a port that the system picks, so two test runs never meet."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, ready_timeout=60, **options)

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class Mailbox:
    """Keeps what arrives; the answers to each SMTP command can be set."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.sessions: list[Session] = []
        self.mail_reply = self.rcpt_reply = self.data_reply = "250 OK"
        self.quit_reply = "221 Bye"
        #: The command at which the server hangs up, and the seconds that it takes over a mail.
        self.gone_at, self.slow = "", 0.0

    async def handle_MAIL(
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.mail_reply

    async def handle_RCPT(
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        if self.gone_at == "RCPT":
            server.transport.abort()
        return self.rcpt_reply

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        await asyncio.sleep(self.slow)
        if self.gone_at == "DATA":
            server.transport.abort()
        if self.data_reply.startswith("2"):
            assert isinstance(envelope.content, bytes)
            mail = email.message_from_bytes(envelope.content, policy=default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.envelopes.append(envelope)
            self.sessions.append(session)
        return self.data_reply

    async def handle_QUIT(self, server: Any, session: Session, envelope: Envelope) -> str:
        if not self.quit_reply:
            server.transport.close()
        return self.quit_reply


Serve = Callable[..., tuple[Mailbox, int]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setattr("aura.notifications.channels.email.transport.IDLE_SECONDS", 3600.0)
    running: list[Controller] = []

    def start(**options: Any) -> tuple[Mailbox, int]:
        mailbox = Mailbox()
        controller = PrivatePort(mailbox, hostname="127.0.0.1", port=0, **options)
        controller.start()
        running.append(controller)
        return mailbox, controller.port

    yield start
    for controller in running:
        controller.stop()


def message(**changes: Any) -> OutboundMessage:
    facts: dict[str, Any] = {
        "id": "0123456789abcdef0123456789abcdef",
        "ticket_id": 17,
        "recipient": "joe@example.org",
        "subject": "[Aura #17] VPN",
        "text": "Hello,\n\nyour ticket.\n",
    }
    return OutboundMessage(**(facts | changes))


def mailer(port: int, timeout: float = 10.0, credentials: str = "", scheme: str = "smtp") -> EmailChannel:
    return EmailChannel(f"{scheme}://{credentials}127.0.0.1:{port}", SENDER, timeout)


def refused(sender: EmailChannel, **changes: Any) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        sender.send(message(**changes))
    return caught.value


def test_a_mail_arrives_as_text_and_html_without_starttls(serve: Serve) -> None:
    mailbox, port = serve()
    message_id = mailer(port).send(message(html="<p>Hello</p>"))
    [mail], [envelope] = mailbox.mails, mailbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("aura@example.com", ["joe@example.org"])
    assert (mail["From"], mail["To"], mail["Subject"]) == (SENDER, "joe@example.org", "[Aura #17] VPN")
    assert mail["Message-ID"] == message_id == "<0123456789abcdef0123456789abcdef@example.com>"
    assert mail["Date"]
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    "recipient",
    ["joe@my_site.example.org", "joe..lee.@docomo.example", '"joe lee"@example.org', f"{'j' * 90}@example.org"],
)
def test_a_mail_arrives_at_an_odd_address(serve: Serve, recipient: str) -> None:
    mailbox, port = serve()
    mailer(port).send(message(recipient=recipient))
    assert mailbox.envelopes[0].rcpt_tos == [recipient]
    assert mailbox.mails[0]["To"].addresses[0].addr_spec in (recipient, recipient.replace("joe..lee.", '"joe..lee."'))


def test_a_mail_without_html_is_plain(serve: Serve) -> None:
    mailbox, port = serve()
    mailer(port).send(message())
    assert mailbox.mails[0].get_content_type() == "text/plain"
    assert mailbox.mails[0].get_content().splitlines() == ["Hello,", "", "your ticket."]


def test_all_attempts_share_a_message_id_and_all_mails_of_a_ticket_a_conversation(serve: Serve) -> None:
    mailbox, port = serve()
    sender = mailer(port)
    assert sender.send(message()) == sender.send(message())
    sender.send(message(id="another"))
    first, again, other = mailbox.mails
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    for mail in mailbox.mails:
        assert mail["References"] == mail["In-Reply-To"] == "<ticket-17@example.com>"


def test_a_long_sender_domain_leaves_the_ids_whole(serve: Serve) -> None:
    mailbox, port = serve()
    domain = ".".join(["a-rather-long-label"] * 6) + ".com"
    message_id = EmailChannel(f"smtp://127.0.0.1:{port}", f"aura@{domain}").send(message())
    content = mailbox.envelopes[0].content
    assert isinstance(content, bytes)
    assert b"Message-ID: " + message_id.encode() in content
    for header in (b"References", b"In-Reply-To"):
        assert header + f": <ticket-17@{domain}>".encode() in content


def test_a_mail_asks_for_no_automatic_replies(serve: Serve) -> None:
    mailbox, port = serve()
    mailer(port).send(message())
    assert mailbox.mails[0]["Auto-Submitted"] == "auto-generated"
    assert mailbox.mails[0]["X-Auto-Response-Suppress"] == "All"


def test_text_of_every_alphabet_arrives(serve: Serve) -> None:
    mailbox, port = serve()
    words = "Größe 日本語 😀 " + "x" * 3000
    mailer(port).send(message(subject="[Aura #17] Größe 日本語 😀", text=words, html=f"<p>{words}</p>"))
    [mail] = mailbox.mails
    assert mail["Subject"] == "[Aura #17] Größe 日本語 😀"
    assert [part.get_content().strip() for part in mail.iter_parts()] == [words, f"<p>{words}</p>"]
    content = mailbox.envelopes[0].content
    assert isinstance(content, bytes)
    assert max(map(len, content.splitlines())) <= 998


SUBJECTS = st.one_of(
    st.text(max_size=400),
    st.lists(
        st.sampled_from(["Größe", "日本語", "x" * 90, "é" * 60, "😀", "<x>", "a@b.c,", "=?utf-8?q?a=0d=0ab?=", "=?"])
    ).map(" ".join),
)


@limits(deadline=None)
@given(SUBJECTS)
def test_any_subject_arrives_unchanged(subject: str) -> None:
    mail = email.message_from_bytes(bytes(compose(message(subject=subject), SENDER)), policy=default)
    assert mail["Subject"] == one_line(subject, 250)
    assert mail["To"] == "joe@example.org"


def test_an_encoded_word_in_a_subject_cannot_add_headers() -> None:
    subject = "x =?utf-8?q?a=0d=0aBcc:_victim@example.org=0d=0a?= y"
    mail = email.message_from_bytes(bytes(compose(message(subject=subject), SENDER)), policy=default)
    assert mail["Bcc"] is None
    assert mail["Subject"] == subject


@pytest.mark.parametrize("text", ["Grüße\n", "Größe 日本語 " * 40, "a" * 2000 + "ü"])
def test_a_mail_is_ascii_on_the_wire_for_every_server(serve: Serve, text: str) -> None:
    mailbox, port = serve(enable_SMTPUTF8=False)
    sender = mailer(port)
    sender.send(message(text=text, html=f"<p>{text}</p>"))
    sender.send(message(text=text))
    for mail, envelope in zip(mailbox.mails, mailbox.envelopes, strict=True):
        assert isinstance(envelope.content, bytes) and envelope.content.isascii()
        body = mail.get_body(("plain",))
        assert body is not None and body.get_content().strip() == text.strip()


@pytest.mark.parametrize("line", [".", "..", ".\n.", "a\n.\nQUIT"])
def test_a_line_of_dots_arrives(serve: Serve, line: str) -> None:
    mailbox, port = serve()
    mailer(port).send(message(text=f"before\n{line}\nafter\n"))
    assert mailbox.mails[0].get_content().replace("\r\n", "\n") == f"before\n{line}\nafter\n"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("see https://wiki.example/Foo_(bar).", "https://wiki.example/Foo_(bar)"),
        ("(https://x.example/a)", "https://x.example/a"),
        ("(see https://wiki.example/Foo_(bar))", "https://wiki.example/Foo_(bar)"),
        ("https://x.example/[a], then", "https://x.example/[a]"),
        ("‚https://x.example/a‘ …", "https://x.example/a"),
        ("„https://x.example/a“.", "https://x.example/a"),
        ("«https://x.example/a»", "https://x.example/a"),
        ("'https://x.example/?q='1'&r=2'", "https://x.example/?q='1'&r=2"),
        ("https://x.example/a?!", "https://x.example/a"),
        ("https://x.example/ä/日本", "https://x.example/ä/日本"),
    ],
)
def test_a_link_ends_before_the_punctuation_of_its_sentence(text: str, url: str) -> None:
    page = as_html(RenderedMessage("x", text), "en")
    assert re.findall(r'href="([^"]*)"', page) == [escape(url)]
    assert re.findall(">([^<]*)</a>", page) == [escape(url)]


@pytest.mark.parametrize("text", ["https://", "http://)))", "https://...", "xhttps:// a"])
def test_a_scheme_alone_is_no_link(text: str) -> None:
    assert "href" not in as_html(RenderedMessage("x", text), "en")


def test_nul_bytes_and_lone_surrogates_do_not_stop_a_mail(serve: Serve) -> None:
    mailbox, port = serve()
    mailer(port).send(message(subject="a\ud800\0b", text="c\ud800\0d", html="e\ud800\0f"))
    assert [part.get_content().strip() for part in mailbox.mails[0].iter_parts()] == ["c?d", "e?f"]


def test_a_subject_and_an_id_cannot_add_headers(serve: Serve) -> None:
    mailbox, port = serve()
    mailer(port).send(
        message(subject="x\r\nBcc: victim@example.org\r\n\r\nbody", id="1>\r\nBcc: victim@example.org\r\n")
    )
    [mail], [envelope] = mailbox.mails, mailbox.envelopes
    assert mail["Subject"] == "x Bcc: victim@example.org body"
    assert mail["Bcc"] is None
    assert envelope.rcpt_tos == ["joe@example.org"]
    assert mail["Message-ID"] == "<1Bccvictimexample.org@example.com>"
    assert mail.get_content().splitlines() == ["Hello,", "", "your ticket."]


@pytest.mark.parametrize(
    "recipient",
    [
        "a@example.org\r\nBcc: v@example.org",
        "a@example.org,v@example.org",
        "a@example.org>\r\nDATA",
        "",
        "joe",
        "a b@example.org",
    ],
)
def test_a_hostile_recipient_is_refused_before_it_is_sent(serve: Serve, recipient: str) -> None:
    mailbox, port = serve()
    error = refused(mailer(port), recipient=recipient)
    assert error.permanent
    assert not mailbox.mails


@pytest.mark.parametrize(
    ("reply", "code", "permanent", "says"),
    [
        ("rcpt_reply", "550 no such user", True, "refused the recipient: 550 no such user"),
        ("rcpt_reply", "451 greylisted, come back", False, "refused the recipient: 451 greylisted, come back"),
        ("rcpt_reply", "530 log in first", False, "SMTP_URL"),
        ("data_reply", "554 looks like spam", True, "refused the mail: 554 looks like spam"),
        ("data_reply", "452 disk full", False, "refused the mail: 452 disk full"),
        ("mail_reply", "550 who are you", False, "MAIL_FROM"),
        ("mail_reply", "530 log in first", False, "SMTP_URL"),
        ("mail_reply", "552 too large", True, "refused the mail: 552 too large"),
    ],
)
def test_an_smtp_refusal_is_permanent_or_temporary(
    serve: Serve, reply: str, code: str, permanent: bool, says: str
) -> None:
    mailbox, port = serve()
    setattr(mailbox, reply, code)
    error = refused(mailer(port))
    assert error.permanent is permanent
    assert says in str(error)


def test_mails_of_one_thread_share_a_connection(serve: Serve) -> None:
    mailbox, port = serve()
    sender = mailer(port)
    for _ in range(3):
        sender.send(message())
    mailbox.rcpt_reply = "550 nobody here"
    assert refused(sender).permanent
    mailbox.rcpt_reply = "250 OK"
    sender.send(message())
    assert [session is mailbox.sessions[0] for session in mailbox.sessions] == [True, True, True, False]


@pytest.mark.parametrize("good_bye", ["", "421 going down"])
def test_a_connection_idle_for_too_long_is_closed_and_an_error_of_quit_is_ignored(
    serve: Serve, good_bye: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox, port = serve()
    mailbox.quit_reply = good_bye
    monkeypatch.setattr("aura.notifications.channels.email.transport.IDLE_SECONDS", 0.0)
    sender = mailer(port)
    assert [sender.send(message()), sender.send(message())] == [mail["Message-ID"] for mail in mailbox.mails]
    assert mailbox.sessions[0] is not mailbox.sessions[1]


@pytest.mark.parametrize("reply", ["", "421 going down"])
def test_a_mail_after_a_closed_idle_connection_uses_a_new_one(serve: Serve, reply: str) -> None:
    mailbox, port = serve()
    sender = mailer(port)
    sender.send(message())
    first = mailbox.sessions[0]

    async def handle_mail(server: Any, session: Session, envelope: Envelope, address: str, _options: list[str]) -> str:
        if session.peer == first.peer:
            if not reply:
                server.transport.abort()
            return reply
        envelope.mail_from = address
        return "250 OK"

    mailbox.handle_MAIL = handle_mail  # type: ignore[assignment]
    sender.send(message())
    assert len(mailbox.mails) == 2


def test_a_non_ascii_address_is_sent_as_it_is_with_smtputf8(serve: Serve) -> None:
    mailbox, port = serve(enable_SMTPUTF8=True)
    for recipient in ("jürgen@münchen.example", "hans@aא.example"):
        mailer(port).send(message(recipient=recipient))
        assert mailbox.envelopes[-1].rcpt_tos == [recipient]


@pytest.mark.parametrize("smtputf8", [False, True])
@pytest.mark.parametrize(
    ("recipient", "sent"),
    [
        ("hans@münchen.example", "hans@xn--mnchen-3ya.example"),
        ("hans@MÜNCHEN.Example", "hans@xn--mnchen-3ya.example"),
        ("hans@straße.example", "hans@xn--strae-oqa.example"),  # the standard of 2003 makes it strasse.example
        ("hans@例え.テスト", "hans@xn--r8jz45g.xn--zckzah"),
        ("Hans.O@plain.example", "Hans.O@plain.example"),
    ],
)
def test_an_internationalized_domain_is_an_a_label(serve: Serve, recipient: str, sent: str, smtputf8: bool) -> None:
    # also with SMTPUTF8: the next server may not offer it, and returns the mail
    mailbox, port = serve(enable_SMTPUTF8=smtputf8)
    sender = mailer(port)
    sender.send(message(recipient=recipient))
    sender.send(message(recipient=recipient))  # on the idle connection
    for mail, envelope in zip(mailbox.mails, mailbox.envelopes, strict=True):
        assert envelope.rcpt_tos == [sent]
        assert str(mail["To"]) == sent
        assert isinstance(envelope.content, bytes) and envelope.content.isascii()
    assert mailbox.sessions[0] is mailbox.sessions[1]


@pytest.mark.parametrize(
    ("recipient", "says"),
    [("jürgen@example.org", "before @"), ("jürgen@münchen.example", "before @"), ("hans@aא.example", "domain")],
)
def test_an_address_that_a_server_without_smtputf8_cannot_take_fails_permanently(
    serve: Serve, recipient: str, says: str
) -> None:
    mailbox, port = serve(enable_SMTPUTF8=False)
    sender = mailer(port)
    with pytest.raises(ChannelError, match=says) as caught:
        sender.send(message(recipient=recipient))
    assert caught.value.permanent
    assert recipient not in str(caught.value)
    sender.send(message())
    assert len(mailbox.mails) == 1


# -- threads and lists --------------------------------------------------------------------------------------------------


def test_a_mail_answers_the_newest_mail_of_its_recipient(serve: Serve) -> None:
    mailbox, port = serve()
    mailer(port).send(message(references=("first@example.org", "second@example.org")))
    [mail] = mailbox.mails
    assert mail["In-Reply-To"] == "<second@example.org>"
    assert mail["References"].split() == ["<ticket-17@example.com>", "<first@example.org>", "<second@example.org>"]


def test_references_are_bounded_and_each_line_is_short(serve: Serve) -> None:
    mailbox, port = serve()
    ids = tuple(f"{number}.{'x' * 200}@example.org" for number in range(1000))
    mailer(port).send(message(references=ids))
    [mail], content = mailbox.mails, mailbox.envelopes[0].content
    named = mail["References"].split()[1:]
    assert named == [f"<{each}>" for each in (ids[0], *ids[-19:])]
    assert mail["In-Reply-To"] == f"<{ids[-1]}>"
    assert isinstance(content, bytes)
    assert max(map(len, content.splitlines())) < 300


@pytest.mark.parametrize("hostile", ["a@b>\r\nBcc: eve@example.org", "a b@c", "ä@b", "", "x" * 300, "<a@b>", "a\0@b"])
def test_a_hostile_message_id_is_left_out(hostile: str) -> None:
    mail = email.message_from_bytes(bytes(compose(message(references=(hostile, "good@example.org")), SENDER)))
    assert mail["References"].split() == ["<ticket-17@example.com>", "<good@example.org>"]
    assert mail["Bcc"] is None


def test_a_mail_with_an_unsubscribe_link_names_it_in_its_headers(serve: Serve) -> None:
    mailbox, port = serve()
    https, http = "https://aura.example/unsubscribe/t0ken", "http://127.0.0.1/unsubscribe/t0ken"
    for url in (https, http, ""):
        mailer(port).send(message(unsubscribe=url))
    one_click, by_mail, none = mailbox.mails
    assert (one_click["List-Unsubscribe"], one_click["List-Unsubscribe-Post"]) == (
        f"<{https}>",
        "List-Unsubscribe=One-Click",
    )
    assert by_mail["List-Unsubscribe"] == f"<mailto:aura@example.com?subject=unsubscribe%20t0ken>, <{http}>"
    assert by_mail["List-Unsubscribe-Post"] is None, "one click needs https"
    assert (none["List-Unsubscribe"], none["List-Unsubscribe-Post"]) == (None, None)


def test_a_long_unsubscribe_link_stays_on_one_line() -> None:
    url = f"https://aura.example/unsubscribe/{'x' * 700}"
    assert f"List-Unsubscribe: <{url}>\r\n".encode() in bytes(compose(message(unsubscribe=url), SENDER))


def test_a_silent_server_is_a_temporary_error() -> None:
    # The system completes the connection, nobody ever answers
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = refused(mailer(server.getsockname()[1], timeout=0.1))
    assert not error.permanent
    assert "SMTP_URL" in str(error)


def test_an_absent_server_is_a_temporary_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    error = refused(mailer(port))
    assert not error.permanent
    assert f"127.0.0.1:{port} (SMTP_URL)" in str(error)


def test_a_mail_without_an_answer_is_in_doubt(serve: Serve) -> None:
    mailbox, port = serve()
    # Given a server that reads the whole mail, and is gone before it says anything of it
    mailbox.gone_at = "DATA"
    error = refused(mailer(port))
    assert (error.permanent, error.in_doubt) == (False, True)
    # And one that is gone before: the mail never left
    mailbox.gone_at = "RCPT"
    error = refused(mailer(port))
    assert (error.permanent, error.in_doubt) == (False, False)


@pytest.mark.parametrize("reply", ["451 try again", "554 looks like spam", "421 going down"])
def test_a_refused_mail_is_not_in_doubt(serve: Serve, reply: str) -> None:
    mailbox, port = serve()
    mailbox.data_reply = reply
    assert not refused(mailer(port)).in_doubt


def test_the_answer_to_a_mail_has_a_longer_timeout(serve: Serve) -> None:
    mailbox, port = serve()
    mailbox.slow = 2.1
    sender = EmailChannel(f"smtp://127.0.0.1:{port}", SENDER, timeout=2, mail_timeout=60)
    assert sender.send(message()) == mailbox.mails[0]["Message-ID"]
    impatient = EmailChannel(f"smtp://127.0.0.1:{port}", SENDER, timeout=60, mail_timeout=0.1)
    assert refused(impatient).in_doubt


def test_a_server_without_tls_behind_smtps_is_a_temporary_error(serve: Serve) -> None:
    _, port = serve()
    assert not refused(mailer(port, timeout=1, scheme="smtps")).permanent


def guard(server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(success=(data.login, data.password) == (b"aura@desk", b"p/w:d"), handled=False)


def test_user_and_password_are_percent_decoded(serve: Serve) -> None:
    mailbox, port = serve(authenticator=guard, auth_require_tls=False)
    mailer(port, credentials="aura%40desk:p%2Fw%3Ad@").send(message())
    assert mailbox.sessions[0].authenticated


@pytest.mark.parametrize("password", ["hunter2", "gehäim-hunter2"])
def test_a_refused_login_names_the_setting_and_hides_the_password(serve: Serve, password: str) -> None:
    _, port = serve(authenticator=guard, auth_require_tls=False)
    error = refused(mailer(port, credentials=f"aura%40desk:{password}@"))
    assert not error.permanent
    assert "SMTP_URL" in str(error)
    assert "hunter2" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_a_server_that_offers_no_login_is_named(serve: Serve) -> None:
    _, port = serve()
    error = refused(mailer(port, credentials="aura:hunter2@"))
    assert not error.permanent
    assert "SMTP_URL" in str(error)


def test_a_password_never_crosses_the_network_in_the_clear(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox, port = serve(authenticator=guard, auth_require_tls=False)
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
    error = refused(EmailChannel(f"smtp://aura%40desk:p%2Fw%3Ad@mail.example.com:{port}", SENDER))
    assert not error.permanent
    assert "STARTTLS" in str(error)
    assert "SMTP_URL" in str(error)
    assert not mailbox.mails


@pytest.fixture
def certificate() -> tuple[Path, ssl.SSLContext]:
    """A key and a certificate for 127.0.0.1 that nobody but this test trusts."""
    path = ROOT / "tests" / "data" / "localhost.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return path, context


def test_smtps_is_tls_from_the_first_byte(
    serve: Serve, certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    mailbox, port = serve(ssl_context=context)
    assert mailer(port, scheme="smtps").send(message()) == mailbox.mails[0]["Message-ID"]
    monkeypatch.delenv("SSL_CERT_FILE")
    error = refused(mailer(port, scheme="smtps"))
    assert (error.permanent, error.in_doubt) == (False, False)
    assert len(mailbox.mails) == 1


def test_starttls_is_used_when_offered(
    serve: Serve, certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    mailbox, port = serve(tls_context=context, authenticator=guard, auth_required=True)
    mailer(port, credentials="aura%40desk:p%2Fw%3Ad@").send(message())
    assert mailbox.sessions[0].ssl is not None
    assert mailbox.sessions[0].authenticated


def test_a_stranger_s_certificate_is_not_trusted(serve: Serve, certificate: tuple[Path, ssl.SSLContext]) -> None:
    mailbox, port = serve(tls_context=certificate[1])
    error = refused(mailer(port))
    assert not error.permanent
    assert "SMTP_URL" in str(error)
    assert not mailbox.mails


@pytest.mark.parametrize(
    "url", ["smtp://u:hunter2/x@host:25", "smtp://u:hunter2@", "http://hunter2", "smtp://u:p@host:hunter2"]
)
def test_an_invalid_smtp_url_is_a_settings_error_without_the_url(url: str) -> None:
    with pytest.raises(SettingsError, match="SMTP_URL") as caught:
        EmailChannel(url, SENDER)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("sender", ["Aura", "a@example.com, b@example.com", "jürgen@example.com", "a@b@c"])
def test_an_unusable_sender_is_a_settings_error(sender: str) -> None:
    with pytest.raises(SettingsError, match="MAIL_FROM"):
        EmailChannel("smtp://localhost", sender)


def test_the_console_writes_one_line_without_text_of_the_ticket(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert ConsoleChannel().send(message(subject="[Aura #17] private", text="private")) == message().id
    [line] = caplog.messages
    assert "private" not in line
    logged = json.loads(line[line.index("{") :])
    assert logged == {"id": message().id, "ticket": 17, "to": "joe@example.org", "event": message().event}


def test_the_console_writes_one_line_for_any_recipient(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ConsoleChannel().send(message(recipient="a\r\nb"))
    [line] = caplog.messages
    assert "\n" not in line
