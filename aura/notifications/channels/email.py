"""The e-mail channel: one SMTP conversation for each thread, which takes a notice after the other.

SMTP_URL is ``smtp://user:password@host:587`` (STARTTLS when the server offers it) or ``smtps://host:465``; user and
password are percent-decoded. Certificates are verified; SSL_CERT_FILE names the authority of a private mail server.
"""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formataddr, getaddresses
from functools import cached_property
from threading import local
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit

from aura.notifications.channels import ChannelError, OutboundMessage
from aura.notifications.channels.mime import compose
from aura.notifications.sanitize import is_email, one_line
from aura.settings import SettingsError

#: Replies that ask for a login or find it wrong: not the mail's fault, so no try is the last because of them.
_LOGIN_REPLIES = (530, 534, 535, 538)
_TOO_LARGE = 552
#: Seconds for which a conversation that rests is used again, and the most mails of one: servers end both by themselves.
_REST, _MOST_MAILS = 5.0, 100
#: What a server says that ends the conversation by itself.
_GOING_AWAY = 421
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _Conversation(smtplib.SMTP):
    """Knows whether a whole mail has left: without an answer to that, nobody knows whether it was taken."""

    left = False
    mails = 0
    rests_since = 0.0

    def __del__(self) -> None:
        self.close()  # of a thread that ended

    def send(self, s: Any) -> None:
        super().send(s)
        # commands are text; what ends so is a mail
        self.left = isinstance(s, bytes) and s.endswith(b"\r\n.\r\n")


class _TlsConversation(_Conversation, smtplib.SMTP_SSL):
    """The same over TLS from the first byte."""


class EmailChannel:
    """Send notices through an SMTP server; ``timeout`` is in seconds and holds for every wait on the socket.

    Raises SettingsError when the URL or the sender cannot be used; the message never repeats the URL.
    """

    name = "email"

    def __init__(self, url: str, sender: str, timeout: float = 10.0, patience: float = 300.0) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            # `from None`: the original quotes a part of the URL, which may be the password
            raise SettingsError("SMTP_URL: percent-encode what is special in user name and password") from None
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise SettingsError("SMTP_URL: must be smtp://user:password@host:587 or smtps://host:465")
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._host, self._tls, self._timeout = parts.hostname, parts.scheme == "smtps", timeout
        self._patience = patience
        self._kept = local()
        self._port = port or (465 if self._tls else 587 if self._user else 25)
        senders = getaddresses([one_line(sender, 320)])
        if len(senders) != 1 or not is_email(senders[0][1]) or not senders[0][1].isascii():
            raise SettingsError("MAIL_FROM: must be one address, such as Aura <aura@example.com>")
        self._sender, self._address = formataddr(senders[0]), senders[0][1]

    def send(self, notice: OutboundMessage) -> str:
        """Send one mail and return its Message-ID, which is the same at every try.

        Raises ChannelError: permanent when the server refuses the recipient or the mail for good (5xx), not permanent
        for 4xx, for a refused login or sender, and for a server that is away or silent.
        """
        if not is_email(notice.recipient):
            raise ChannelError("the recipient is not one plain e-mail address", permanent=True)
        message = compose(notice, self._sender)
        client = self._resting()
        if client is not None:
            try:
                self._talk(client, message, notice.recipient)
                return str(message["Message-ID"])
            except (OSError, UnicodeError) as error:
                # it had rested for too long, as we see only now; this mail was not under way
                if not _over(client, error):
                    raise self._explain(error, unsure=client.left) from error
                client = None
        try:
            client = self._connect()
            self._talk(client, message, notice.recipient)
        except (OSError, UnicodeError) as error:
            raise self._explain(error, unsure=client is not None and client.left) from error
        return str(message["Message-ID"])

    def _talk(self, client: _Conversation, message: EmailMessage, recipient: str) -> None:
        """Send a mail, and keep the conversation for the next one; any error ends it."""
        client.left = False
        try:
            # A scanner may take minutes over a mail, and hanging up on it means sending the mail again
            wait(client, self._patience)
            client.send_message(message, self._address, [recipient])
            wait(client, self._timeout)
        except BaseException:
            client.close()
            raise
        client.mails, client.rests_since = client.mails + 1, monotonic()
        self._kept.client = client

    def _resting(self) -> _Conversation | None:
        """Return this thread's conversation when it can go on; one that cannot is ended."""
        client: _Conversation | None = self._kept.__dict__.pop("client", None)
        if client is None or (monotonic() - client.rests_since < _REST and client.mails < _MOST_MAILS):
            return client
        # every mail of it is accepted: a server that stumbles over the good-bye must not cause a second one
        with suppress(OSError):
            client.quit()
        client.close()
        return None

    @cached_property
    def _context(self) -> ssl.SSLContext:
        # loading the authorities takes longer than sending a mail, so once, and only where there is TLS
        return ssl.create_default_context()

    def _connect(self) -> _Conversation:
        # Our name is given, for smtplib would ask the name server for it, without a timeout
        domain = self._address.rpartition("@")[2]
        client: _Conversation
        if self._tls:
            client = _TlsConversation(self._host, self._port, domain, timeout=self._timeout, context=self._context)
        else:
            client = _Conversation(self._host, self._port, domain, timeout=self._timeout)
        try:
            client.ehlo_or_helo_if_needed()
            if not self._tls and client.has_extn("starttls"):
                client.starttls(context=self._context)
            elif self._user and not self._tls and self._host not in _LOOPBACK:
                raise ChannelError("the mail server offers no STARTTLS for the password: use smtps:// in SMTP_URL")
            if self._user:
                self._login(client)
        except BaseException:
            client.close()
            raise
        return client

    def _login(self, client: smtplib.SMTP) -> None:
        try:
            client.login(self._user, self._password)
        except smtplib.SMTPServerDisconnected:
            raise
        except (smtplib.SMTPException, UnicodeError) as error:
            code = f" ({error.smtp_code})" if isinstance(error, smtplib.SMTPResponseException) else ""
            # `from None`, and not a word of the server's: both may repeat the password
            raise ChannelError(f"the mail server refused the login{code}: check the password in SMTP_URL") from None

    def _explain(self, error: OSError | UnicodeError, unsure: bool) -> ChannelError:
        """Return what went wrong in words, with the setting to look at, and whether another try makes sense."""
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            code, reply = next(iter(error.recipients.values()))
            return _refused("the recipient", code, reply)
        if isinstance(error, smtplib.SMTPSenderRefused) and error.smtp_code not in (_TOO_LARGE, *_LOGIN_REPLIES):
            return ChannelError(f"the mail server refused our sender ({error.smtp_code}): check MAIL_FROM")
        if isinstance(error, (smtplib.SMTPSenderRefused, smtplib.SMTPDataError)):
            return _refused("the mail", error.smtp_code, error.smtp_error)
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return ChannelError("the mail server takes no address with letters beyond ASCII", permanent=True)
        where = f"{self._host}:{self._port}"
        said = one_line(str(error), 200)
        return ChannelError(f"no conversation with the mail server {where} (SMTP_URL): {said}", unsure=unsure)


def _over(client: _Conversation, error: Exception) -> bool:
    """Return whether the server had ended the conversation before the mail left."""
    ended = isinstance(error, smtplib.SMTPServerDisconnected | ConnectionError)
    return not client.left and (ended or getattr(error, "smtp_code", 0) == _GOING_AWAY)


def wait(client: smtplib.SMTP, seconds: float) -> None:
    """Wait so long for each of the server's answers from now on."""
    if client.sock is not None:
        client.sock.settimeout(seconds)


def _refused(what: str, code: int, reply: bytes | str) -> ChannelError:
    if code in _LOGIN_REPLIES:
        return ChannelError(f"the mail server wants a login ({code}): check user and password in SMTP_URL")
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return ChannelError(f"the mail server refused {what}: {code} {one_line(text, 200)}", permanent=code >= 500)
