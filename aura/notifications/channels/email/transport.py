"""The SMTP transport: one connection for each thread, reused for several mails.

SMTP_URL is ``smtp://user:password@host:587`` (STARTTLS when the server offers it) or ``smtps://host:465``; user and
password are percent-decoded. Certificates are verified; SSL_CERT_FILE names the authority of a private mail server.

The login is a password, or an access token when AURA_SMTP_OAUTH names a provider.
"""

from __future__ import annotations

import atexit
import smtplib
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from email.utils import formataddr, getaddresses
from functools import cached_property
from threading import local
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit
from weakref import WeakSet

from aura.notifications.channels.base import ChannelError, OutboundMessage
from aura.notifications.channels.email.address import wire_address
from aura.notifications.channels.email.mime import compose
from aura.notifications.sanitize import is_email, one_line
from aura.oauth import Token, TokenRefused, TokenServerUnavailable, TokenSource, sasl
from aura.settings import SettingsError

#: Replies that ask for a login or refuse it. The mail is not the cause, so the attempt is repeated.
LOGIN_REPLIES = (530, 534, 535, 538)
TOO_LARGE = 552
#: Seconds after which an idle connection is closed, and mails of one connection: servers limit both.
IDLE_SECONDS, MAILS_LIMIT = 5.0, 100
#: The reply of a server that closes the connection.
CLOSING = 421
LOOPBACK = ("localhost", "127.0.0.1", "::1")


#: Connections of all threads; they are closed before the process ends.
_open: WeakSet[_Connection] = WeakSet()


class _Connection(smtplib.SMTP):
    """An SMTP connection that records whether a whole mail was sent; without an answer its delivery is in doubt."""

    mail_sent = False
    mails = 0
    idle_since = 0.0
    #: The access token of the login.
    token: Token | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        _open.add(self)
        super().__init__(*arguments, **options)

    def __del__(self) -> None:
        if not sys.is_finalizing():  # the thread has ended, and the process goes on
            self.close()

    def send(self, s: Any) -> None:
        super().send(s)
        # commands are text; a mail is bytes that end like this
        self.mail_sent = isinstance(s, bytes) and s.endswith(b"\r\n.\r\n")


class _TlsConnection(_Connection, smtplib.SMTP_SSL):
    """An SMTP connection over TLS from the first byte."""


@atexit.register
def _close_all() -> None:
    for connection in list(_open):
        connection.close()


class _RefusedToken(Exception):
    """The mail server refused an access token."""


class EmailChannel:
    """Send messages through an SMTP server.

    `timeout` is the seconds of every wait on the socket, `mail_timeout` those of the wait for the answer to a mail. Raises
    SettingsError, without any part of the URL, when the URL or the sender cannot be used. `tokens` returns the source of the
    access tokens for the user of the URL, instead of a password. `plus_addresses`: replies go to the sender's address with the
    reply token behind a plus sign.
    """

    name = "email"

    def __init__(
        self,
        url: str,
        sender: str,
        timeout: float = 10.0,
        mail_timeout: float = 300.0,
        tokens: Callable[[str], TokenSource] | None = None,
        plus_addresses: bool = False,
    ) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            # `from None`: the original quotes a part of the URL, possibly the password
            raise SettingsError("SMTP_URL: percent-encode what is special in user name and password") from None
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise SettingsError("SMTP_URL: must be smtp://user:password@host:587 or smtps://host:465")
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._host, self._tls, self._timeout = parts.hostname, parts.scheme == "smtps", timeout
        self._mail_timeout = mail_timeout
        self._idle = local()
        self._port = port or (465 if self._tls else 587 if self._user else 25)
        senders = getaddresses([one_line(sender, 320)])
        if len(senders) != 1 or not is_email(senders[0][1]) or not senders[0][1].isascii():
            raise SettingsError("MAIL_FROM: must be one address, such as Aura <aura@example.com>")
        self._sender, self._address = formataddr(senders[0]), senders[0][1]
        self._tokens = tokens
        self._plus_addresses = plus_addresses

    def send(self, message: OutboundMessage) -> str:
        """Send one mail and return its Message-ID, which is the same at every attempt.

        Raises ChannelError: permanent when the server refuses the recipient or the mail with 5xx; not permanent for 4xx,
        for a refused login or sender, and for a server that does not answer.
        """
        if not is_email(message.recipient):
            raise ChannelError("the recipient is not one plain e-mail address", permanent=True)
        connection = self._take_idle()
        if connection is not None:
            try:
                return self._transmit(connection, message)
            except (OSError, UnicodeError) as error:
                if not _was_closed(connection, error):
                    raise self._error(error, in_doubt=connection.mail_sent) from error
                connection = None
        try:
            connection = self._connect()
            return self._transmit(connection, message)
        except (OSError, UnicodeError) as error:
            raise self._error(error, in_doubt=connection is not None and connection.mail_sent) from error

    def _transmit(self, connection: _Connection, message: OutboundMessage) -> str:
        """Send a mail, keep the connection for the next one, and return the Message-ID; an error closes it."""
        connection.mail_sent = False
        try:
            connection.ehlo_or_helo_if_needed()
            recipient = wire_address(message.recipient, connection.has_extn("smtputf8"))
            mail = compose(message, self._sender, recipient, self._plus_addresses)
            # a virus scanner may take minutes, and a mail whose answer is not awaited is sent twice
            set_timeout(connection, self._mail_timeout)
            connection.send_message(mail, self._address, [recipient])
            set_timeout(connection, self._timeout)
        except BaseException:
            connection.close()
            raise
        connection.mails, connection.idle_since = connection.mails + 1, monotonic()
        self._idle.connection = connection
        return str(mail["Message-ID"])

    def _take_idle(self) -> _Connection | None:
        """Return this thread's idle connection; it is closed after its time, its mails, or the life of its access token."""
        connection: _Connection | None = self._idle.__dict__.pop("connection", None)
        if connection is None or (
            monotonic() - connection.idle_since < IDLE_SECONDS
            and connection.mails < MAILS_LIMIT
            and (connection.token is None or connection.token.seconds_left > 0)
        ):
            return connection
        # all its mails are accepted, so an error of QUIT changes nothing
        with suppress(OSError):
            connection.quit()
        connection.close()
        return None

    @cached_property
    def _context(self) -> ssl.SSLContext:
        # loading the certificates takes longer than sending a mail
        return ssl.create_default_context()

    def _connect(self) -> _Connection:
        """Connect and log in; a cached token that the server refuses is renewed once, on a new connection."""
        if self._tokens is None:
            return self._open(None)
        source, asked_at = self._tokens(self._user), monotonic()
        token = _token(source, None)
        try:
            return self._open(token)
        except _RefusedToken as error:
            if token.fetched_at >= asked_at:
                raise ChannelError(str(error)) from None
        try:
            return self._open(_token(source, token))
        except _RefusedToken as error:
            raise ChannelError(str(error)) from None

    def _open(self, token: Token | None) -> _Connection:
        # without a name smtplib would ask the name server for one, without a timeout
        domain = self._address.rpartition("@")[2]
        connection: _Connection
        if self._tls:
            connection = _TlsConnection(self._host, self._port, domain, timeout=self._timeout, context=self._context)
        else:
            connection = _Connection(self._host, self._port, domain, timeout=self._timeout)
        try:
            connection.ehlo_or_helo_if_needed()
            if not self._tls and connection.has_extn("starttls"):
                connection.starttls(context=self._context)
            elif self._user and not self._tls and self._host not in LOOPBACK:
                raise ChannelError("the mail server offers no STARTTLS for the login: use smtps:// in SMTP_URL")
            if token is not None:
                self._login_with_token(connection, token)
            elif self._user:
                self._login(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _login(self, connection: smtplib.SMTP) -> None:
        try:
            connection.login(self._user, self._password)
        except smtplib.SMTPServerDisconnected:
            raise
        except (smtplib.SMTPException, UnicodeError) as error:
            code = f" ({error.smtp_code})" if isinstance(error, smtplib.SMTPResponseException) else ""
            # `from None`, and nothing of the reply: both may repeat the password
            raise ChannelError(f"the mail server refused the login{code}: check the password in SMTP_URL") from None

    def _login_with_token(self, connection: _Connection, token: Token) -> None:
        """Log in with an access token. Raises _RefusedToken, or ChannelError when the server cannot take one."""
        connection.ehlo_or_helo_if_needed()
        mechanism = sasl.choose(connection.esmtp_features.get("auth", "").upper().split())
        if mechanism is None:
            raise ChannelError(
                "the mail server offers neither XOAUTH2 nor OAUTHBEARER: check SMTP_URL and AURA_SMTP_OAUTH"
            )
        responder = sasl.Responder(mechanism, self._user, token.value, self._host, self._port)
        try:
            connection.auth(mechanism, responder)
        except smtplib.SMTPServerDisconnected:
            raise
        except (smtplib.SMTPException, ValueError) as error:
            code = error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0
            if 400 <= code < 500:
                raise ChannelError(f"the mail server refuses logins temporarily ({code})") from None
            reason = " ".join(str(each) for each in (code, responder.refusal) if each)
            raise _RefusedToken(
                f"the mail server refused the access token for {self._user} ({reason}): check that SMTP AUTH is enabled for "
                "the mailbox, and that the application may send as it"
            ) from None
        connection.token = token

    def _error(self, error: OSError | UnicodeError, in_doubt: bool) -> ChannelError:
        """Return the error of a delivery, with the setting to check."""
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            code, reply = next(iter(error.recipients.values()))
            return _refused("the recipient", code, reply)
        if isinstance(error, smtplib.SMTPSenderRefused) and error.smtp_code not in (TOO_LARGE, *LOGIN_REPLIES):
            return ChannelError(f"the mail server refused the sender ({error.smtp_code}): check MAIL_FROM")
        if isinstance(error, (smtplib.SMTPSenderRefused, smtplib.SMTPDataError)):
            return _refused("the mail", error.smtp_code, error.smtp_error)
        where = f"{self._host}:{self._port}"
        reason = one_line(str(error), 200)
        return ChannelError(f"the mail server {where} (SMTP_URL) does not answer: {reason}", in_doubt=in_doubt)


def _token(source: TokenSource, refused: Token | None) -> Token:
    """Return an access token other than the refused one. Raises ChannelError, which is not permanent."""
    try:
        return source.token(refused)
    except TokenServerUnavailable as error:
        raise ChannelError(str(error), retry_after=error.retry_after) from None
    except TokenRefused as error:
        raise ChannelError(str(error)) from None


def _was_closed(connection: _Connection, error: Exception) -> bool:
    """Return whether the server had closed the idle connection before the mail was sent."""
    closed = isinstance(error, smtplib.SMTPServerDisconnected | ConnectionError)
    return not connection.mail_sent and (closed or getattr(error, "smtp_code", 0) == CLOSING)


def set_timeout(connection: smtplib.SMTP, seconds: float) -> None:
    """Wait at most so long for each further answer of the server."""
    if connection.sock is not None:
        connection.sock.settimeout(seconds)


def _refused(what: str, code: int, reply: bytes | str) -> ChannelError:
    if code in LOGIN_REPLIES:
        return ChannelError(f"the mail server requires a login ({code}): check user and password in SMTP_URL")
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    quoted = one_line(text, 200)
    error = ChannelError(f"the mail server refused {what}: {code} {quoted}", permanent=code >= 500)
    error.quoted = quoted
    return error
