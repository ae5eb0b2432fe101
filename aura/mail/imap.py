"""IMAP mailbox: ingests the mails of a folder, and moves each one after its transaction is committed.

Ingested mails move to `Aura/done`, too large ones to `Aura/refused`. The flag \\Seen would not do, because a person who
reads the mailbox sets it, too: the folder holds the mails that are not ingested yet. After a crash between commit and
move, the mail is read again and recognised as a duplicate.

The login is a password, or an access token when AURA_IMAP_OAUTH names a provider. A connection ends when its token expires.
"""

from __future__ import annotations

import imaplib
import random
import re
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import structlog
from sqlalchemy.exc import SQLAlchemyError

from aura.errors import Unavailable
from aura.mail import imap_login
from aura.mail.imap_connection import Connection, TLSConnection, modified_utf7, quoted
from aura.mail.ingest import HEAD, IngestResult, ingest_mail
from aura.oauth import Token, TokenServerUnavailable, token_source
from aura.settings import OAuthProvider, SettingsError, first_line, get_settings
from db.unavailable import is_unavailable

logger = structlog.get_logger("aura.mail")

#: Timeout of the socket, in seconds.
TIMEOUT = 30.0
#: Longest pause between two connection attempts, in seconds.
MAX_BACKOFF = 60.0
#: Longest pause that a token server may ask for, in seconds.
MAX_RETRY_AFTER = 600.0
#: Seconds until a mail that the server did not return is tried again.
RETRY_SKIPPED = 600.0

DONE, REFUSED = "done", "refused"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Temporary login failures (RFC 5530); any other failure is permanent.
_TEMPORARY = re.compile(rb"\[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG|CONTACTADMIN)\]", re.IGNORECASE)


class MailServerUnavailable(Unavailable):
    """The mail server cannot be reached or closed the connection."""


def watch(url: str, every: float, once: bool = False) -> Iterator[tuple[str, IngestResult]]:
    """Ingest the mails of the mailbox every so many seconds. Yields what `Mailbox.ingest_all` yields.

    Retries with exponential backoff while the mail server or the database does not answer; with `once` it raises
    MailServerUnavailable or SQLAlchemyError.
    """
    failures = 0
    attempts: Counter[bytes] = Counter()
    while True:
        try:
            with Mailbox(url, attempts) as mailbox:
                while True:
                    for each in mailbox.ingest_all():
                        failures = 0
                        yield each
                    failures = 0
                    if once:
                        return
                    time.sleep(every)
                    if mailbox.login_expired:
                        break
        except (MailServerUnavailable, SQLAlchemyError) as error:
            if once or not (isinstance(error, MailServerUnavailable) or is_unavailable(error)):
                raise
            failures += 1
            # jitter: the clients of a server that comes back do not connect at the same moment
            backoff = random.uniform(0.5, 1.0) * min(2.0**failures, MAX_BACKOFF)
            if isinstance(error, MailServerUnavailable) and error.retry_after:
                backoff = max(backoff, min(error.retry_after, MAX_RETRY_AFTER))
            logger.warning("mailbox unavailable", error=first_line(error), retry_in=f"{backoff:.0f} s")
            time.sleep(backoff)


class Mailbox:
    """A connection to the mailbox that AURA_IMAP_URL names."""

    def __init__(self, url: str, attempts: Counter[bytes] | None = None) -> None:
        parts = urlsplit(url)
        #: Unfinished attempts at each mail: a mail that ends the connection is tried after all others.
        self._attempts: Counter[bytes] = Counter() if attempts is None else attempts
        self._host, self._tls = parts.hostname or "", parts.scheme == "imaps"
        self._port = parts.port or (993 if self._tls else 143)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._folder = unquote(parts.path.strip("/")) or "INBOX"
        self._provider = get_settings().imap_oauth
        if not self._user or not (self._password or self._provider):
            raise SettingsError(
                "AURA_IMAP_URL: user or password is missing (imaps://user:password@host/INBOX, or AURA_IMAP_OAUTH)"
            )
        if not f"{self._user}{self._password}{self._folder}".isprintable():
            raise SettingsError("AURA_IMAP_URL: user, password and folder must not contain control characters")
        self._connection: Any = None
        self._token: Token | None = None
        self._prefix = self._separator = ""
        self._capabilities: set[str] = set()
        #: Mails that are ingested and could not be moved.
        self._unmoved: set[bytes] = set()
        #: Mails that the server does not return, and when each is tried again.
        self._skipped: dict[bytes, float] = {}

    @property
    def name(self) -> str:
        """The mailbox without the password."""
        return f"{self._folder} of {self._user} at {self._host}:{self._port}"

    def __enter__(self) -> Self:
        """Connect and log in. Raises MailServerUnavailable, and SettingsError for a refused login."""
        try:
            self._open()
            self._select()
        except (OSError, imaplib.IMAP4.error) as error:
            self._disconnect()
            raise self._translated(error) from None
        except BaseException:
            self._disconnect()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: BaseException | TracebackType | None) -> None:
        if kind is None:
            with suppress(OSError, imaplib.IMAP4.error):
                self._connection.logout()
        self._disconnect()

    @property
    def login_expired(self) -> bool:
        """Whether the access token of the connection has expired, after which some servers close it."""
        return self._token is not None and self._token.seconds_left <= 0

    def ingest_all(self) -> Iterator[tuple[str, IngestResult]]:
        """Ingest every mail of the folder. Yields the UID of each with the result. Raises MailServerUnavailable."""
        try:
            # new mails are visible after any command
            self._command("NOOP")
            [uids] = self._command("UID", "SEARCH", "UNDELETED") or [b""]
            for uid in sorted((uids or b"").split(), key=self._attempts.__getitem__):
                if uid in self._unmoved or self._skipped.get(uid, 0.0) > time.monotonic():
                    continue
                self._attempts[uid] += 1
                result = self._ingest(uid)
                del self._attempts[uid]
                if result is not None:
                    yield uid.decode(), result
        except (OSError, imaplib.IMAP4.error) as error:
            raise self._translated(error) from None

    def _ingest(self, uid: bytes) -> IngestResult | None:
        try:
            size = self._size(uid)
            if size is None:
                return None  # another process moved it
            raw = self._fetch(uid, size)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            # such as Exchange: "could not be converted to an RFC-822 compatible format"
            self._check_temporary(str(error))
            self._skipped[uid] = time.monotonic() + RETRY_SKIPPED
            logger.warning("mail cannot be fetched, it stays in the folder", uid=uid.decode(), error=first_line(error))
            return None
        limit = get_settings().mail_limit
        result = ingest_mail(raw, max(size, len(raw)) if size > limit else len(raw))
        self._move(uid, REFUSED if result.outcome.startswith("refused") else DONE)
        return result

    def _fetch(self, uid: bytes, size: int) -> bytes:
        """Return the bytes of a mail, of a too large one its beginning. Raises imaplib.IMAP4.error."""
        limit = get_settings().mail_limit
        # up to one byte more than the limit, because the size that the server names may be wrong
        length = min(size, HEAD) if size > limit else limit + 1
        response = self._command("UID", "FETCH", uid.decode(), f"(BODY.PEEK[]<0.{length}>)")
        raw = next((part[1] for part in response if isinstance(part, tuple)), None)
        if raw is None:
            raise imaplib.IMAP4.error("the server returned no content")
        return bytes(raw)

    def _size(self, uid: bytes) -> int | None:
        for part in self._command("UID", "FETCH", uid.decode(), "(RFC822.SIZE)"):
            line = part[0] if isinstance(part, tuple) else part
            if line and (match := re.search(rb"RFC822\.SIZE (\d+)", line)):
                return int(match[1])
        return None

    def _move(self, uid: bytes, name: str) -> None:
        """Move an ingested mail. Without MOVE it is copied and deleted, which shows as \\Deleted without UIDPLUS."""
        folder = quoted(f"{self._prefix}Aura{self._separator}{name}")
        if "MOVE" in self._capabilities and self._connection.uid("MOVE", uid.decode(), folder)[0] == "OK":
            return
        if self._connection.uid("COPY", uid.decode(), folder)[0] != "OK":
            self._unmoved.add(uid)
            logger.warning("ingested mail not moved: create the folder or free space", folder=folder)
            return
        self._command("UID", "STORE", uid.decode(), "+FLAGS.SILENT", r"(\Deleted)")
        if "UIDPLUS" in self._capabilities:  # a plain EXPUNGE would remove the mails that other clients marked, too
            self._command("UID", "EXPUNGE", uid.decode())

    def _connect(self) -> imaplib.IMAP4:
        if self._tls:
            return TLSConnection(self._host, self._port, ssl_context=ssl.create_default_context(), timeout=TIMEOUT)
        connection = Connection(self._host, self._port, timeout=TIMEOUT)
        if "STARTTLS" in connection.capabilities:
            connection.starttls(ssl.create_default_context())
        elif self._host not in _LOOPBACK:
            connection.shutdown()
            raise SettingsError(
                "AURA_IMAP_URL: the server does not offer STARTTLS, so the login would be sent in clear text: use imaps://"
            )
        return connection

    def _open(self) -> None:
        """Connect and log in; a cached token that the server refuses is renewed once, on a new connection."""
        started_at = time.monotonic()
        self._connection = self._connect()
        if self._provider is None:
            self._login()
        else:
            refusal = self._login_with_token(self._provider, refused=None)
            if refusal is not None and self._token is not None and self._token.fetched_at < started_at:
                self._disconnect()
                self._connection = self._connect()
                refusal = self._login_with_token(self._provider, self._token)
            if refusal is not None:
                raise SettingsError(
                    f"AURA_IMAP_URL: {self._host}:{self._port} refused the access token for {self._user}"
                    f"{f' ({refusal.status})' if refusal.status else ''}: {imap_login.CHECK[self._provider]}"
                )
        # capabilities may change with the login
        self._capabilities = set(self._connection.capability()[1][-1].decode("ascii", "replace").upper().split())

    def _login_with_token(self, provider: OAuthProvider, refused: Token | None) -> imap_login.Refusal | None:
        """Log in with a token other than the refused one. Returns None when it succeeds."""
        try:
            self._token = token_source(provider, self._user, get_settings()).token(refused)
        except TokenServerUnavailable as error:
            raise MailServerUnavailable(str(error), retry_after=error.retry_after) from None
        refusal = imap_login.log_in(self._connection, self._user, self._token.value, self._host, self._port)
        if refusal is not None:
            self._check_temporary(refusal.reply)
        return refusal

    def _check_temporary(self, reply: str) -> None:
        """Raise MailServerUnavailable when the server marks a refusal as temporary."""
        if _TEMPORARY.search(reply.encode("utf-8", "replace")):
            raise MailServerUnavailable(f"{self._host}:{self._port} refuses requests temporarily") from None

    def _login(self) -> None:
        try:
            # imaplib quotes the password only
            self._connection.login(quoted(self._user), self._password)
        except imaplib.IMAP4.abort:
            raise
        except (imaplib.IMAP4.error, UnicodeError) as error:
            self._check_temporary(str(error))
            # `from None` and without the server's message: both may contain the password
            raise SettingsError(
                f"AURA_IMAP_URL: {self._host}:{self._port} refused the login of {self._user}: check user and password "
                "(some providers require an app password, or AURA_IMAP_OAUTH)"
            ) from None

    def _select(self) -> None:
        status, _ = self._connection.select(quoted(modified_utf7(self._folder)))
        if status != "OK":
            raise SettingsError(f"AURA_IMAP_URL: {self._host}:{self._port} has no folder {self._folder}")
        if "NAMESPACE" in self._capabilities:
            [response] = self._command("NAMESPACE") or [b""]
            if match := re.match(rb'\(\("([^"]*)" "([^"]*)"\)', response or b""):
                self._prefix, self._separator = match[1].decode("ascii", "replace"), match[2].decode("ascii", "replace")
        self._separator = self._separator.replace("\\\\", "\\") or "/"
        for name in ("", f"{self._separator}{DONE}", f"{self._separator}{REFUSED}"):
            # the answer is NO when the folder exists
            self._connection.create(quoted(f"{self._prefix}Aura{name}"))

    def _command(self, command: str, *arguments: str) -> list[Any]:
        """Return the response of a command. Raises imaplib.IMAP4.error when it is not OK."""
        if command == "UID":
            status, response = self._connection.uid(*arguments)
        elif command == "NAMESPACE":
            status, response = self._connection.namespace()
        else:
            status, response = self._connection.noop()
        if status != "OK":
            reply = b" ".join(part for part in response if isinstance(part, bytes))[:200].decode("utf-8", "replace")
            raise imaplib.IMAP4.error(f"{command} {' '.join(arguments[:1])} failed: {status} {reply}")
        return list(response)

    def _translated(self, error: Exception) -> Exception:
        if isinstance(error, ssl.SSLCertVerificationError):
            return SettingsError(
                f"AURA_IMAP_URL: the certificate of {self._host}:{self._port} is not trusted "
                f"({error.verify_message}); SSL_CERT_FILE names the authority of a private mail server"
            )
        if self._provider is not None and imap_login.NOT_CONNECTED in str(error):
            return SettingsError(
                f"AURA_IMAP_URL: {self._host}:{self._port} does not open the mailbox {self._user}: "
                f"{imap_login.CHECK[self._provider]}"
            )
        return MailServerUnavailable(f"{self._host}:{self._port} (AURA_IMAP_URL): {str(error) or type(error).__name__}")

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown()
            self._connection = None
