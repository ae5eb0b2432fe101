"""An IMAP mailbox: what stands in its folder is taken, and moved away only after its transaction has committed.

Taken mails go to `Aura/done`, too large ones to `Aura/refused`. Moved and not marked \\Seen: a person who opens the mailbox
marks a mail as seen as well, and then nobody would take it; so what stands in the folder is what is not taken yet, for
everybody to see. A crash between commit and move leaves it there: it is offered again, and known.
"""

from __future__ import annotations

import imaplib
import random
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from aura.errors import Unavailable
from aura.mail.ingest import HEAD, IngestResult, ingest_mail
from aura.settings import SettingsError, first_line, get_settings

logger = structlog.get_logger("aura.intake")

#: Seconds for each wait on the socket.
PATIENCE = 30.0
#: Seconds between two tries to reach the server, at most.
LONGEST_WAIT = 60.0
#: A server's line with the numbers of all mails; Python's own limit is a mailbox of 150,000.
imaplib._MAXLINE = 20_000_000  # type: ignore[attr-defined]

DONE, REFUSED = "done", "refused"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: A login that is refused for now (RFC 5530); any other is refused for good.
_FOR_NOW = re.compile(rb"\[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG|CONTACTADMIN)\]", re.IGNORECASE)


class Away(Unavailable):
    """The mail server cannot be reached, or ended the conversation; another try may help."""


def watch(url: str, every: float, once: bool = False) -> Iterator[tuple[str, IngestResult]]:
    """Take what stands in the mailbox, and look again every so many seconds. Yields what `Mailbox.take_all` does.

    A mail server or a database that is away is tried again, later and later; with `once` it raises Away or SQLAlchemyError.
    """
    failures = 0
    while True:
        try:
            with Mailbox(url) as mailbox:
                while True:
                    for each in mailbox.take_all():
                        failures = 0
                        yield each
                    failures = 0
                    if once:
                        return
                    time.sleep(every)
        except (Away, OperationalError, InterfaceError) as error:
            if once:
                raise
            failures += 1
            # not all clients of a server that comes back at the same moment
            wait = random.uniform(0.5, 1.0) * min(2.0**failures, LONGEST_WAIT)
            logger.warning("no mails for now", error=first_line(error), again_in=f"{wait:.0f} s")
            time.sleep(wait)


class Mailbox:
    """One conversation with the mail server that AURA_IMAP_URL names."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._tls = parts.hostname or "", parts.scheme == "imaps"
        self._port = parts.port or (993 if self._tls else 143)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._folder = unquote(parts.path.strip("/")) or "INBOX"
        if not self._user or not self._password:
            raise SettingsError("AURA_IMAP_URL: names no user or no password (imaps://user:password@host/INBOX)")
        if not f"{self._user}{self._password}{self._folder}".isprintable() or not self._folder.isascii():
            raise SettingsError("AURA_IMAP_URL: write the folder in ASCII, as your server names it (modified UTF-7)")
        self._connection: Any = None
        self._prefix = self._separator = ""
        self._can: set[str] = set()
        self._left: set[bytes] = set()

    @property
    def name(self) -> str:
        """The mailbox as it may be shown."""
        return f"{self._folder} of {self._user} at {self._host}:{self._port}"

    def __enter__(self) -> Self:
        """Connect and log in. Raises Away, and SettingsError for a login that is refused."""
        try:
            self._connection = self._connect()
            self._login()
            self._select()
        except (OSError, imaplib.IMAP4.error) as error:
            self._hang_up()
            raise self._away(error) from None
        except BaseException:
            self._hang_up()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: BaseException | TracebackType | None) -> None:
        if kind is None:
            with suppress(OSError, imaplib.IMAP4.error):
                self._connection.logout()
        self._hang_up()

    def take_all(self) -> Iterator[tuple[str, IngestResult]]:
        """Take every mail that stands in the folder. Yields its number and what became of it. Raises Away."""
        try:
            # the server tells of new mails as an aside of any answer
            self._ask("NOOP")
            [numbers] = self._ask("UID", "SEARCH", "UNDELETED") or [b""]
            for uid in (numbers or b"").split():
                if uid in self._left:
                    continue  # it is taken, and this server would not let us move it
                taken = self._take(uid)
                if taken is not None:
                    yield uid.decode(), taken
        except (OSError, imaplib.IMAP4.error) as error:
            raise self._away(error) from None

    def _take(self, uid: bytes) -> IngestResult | None:
        limit = get_settings().mail_limit
        size = self._size(uid)
        if size is None:
            return None  # another process was faster
        # one byte more than it says, for a server that is wrong about it
        wanted = min(size, HEAD) if size > limit else limit + 1
        answer = self._ask("UID", "FETCH", uid.decode(), f"(BODY.PEEK[]<0.{wanted}>)")
        raw = next((part[1] for part in answer if isinstance(part, tuple)), None)
        if raw is None:
            return None
        taken = ingest_mail(raw, max(size, len(raw)) if size > limit else len(raw))
        self._move(uid, REFUSED if taken.outcome.startswith("refused") else DONE)
        return taken

    def _size(self, uid: bytes) -> int | None:
        for part in self._ask("UID", "FETCH", uid.decode(), "(RFC822.SIZE)"):
            line = part[0] if isinstance(part, tuple) else part
            if line and (found := re.search(rb"RFC822\.SIZE (\d+)", line)):
                return int(found[1])
        return None

    def _move(self, uid: bytes, name: str) -> None:
        """Move a mail that is taken out of the way; what cannot be moved is marked as deleted, and stays."""
        folder = _quoted(f"{self._prefix}Aura{self._separator}{name}")
        if "MOVE" in self._can and self._connection.uid("MOVE", uid.decode(), folder)[0] == "OK":
            return
        if self._connection.uid("COPY", uid.decode(), folder)[0] != "OK":
            self._left.add(uid)
            logger.warning("a mail that is taken cannot be moved: make the folder, or free some space", folder=folder)
            return
        self._ask("UID", "STORE", uid.decode(), "+FLAGS.SILENT", r"(\Deleted)")
        if "UIDPLUS" in self._can:  # a plain EXPUNGE would remove what other people marked as well
            self._ask("UID", "EXPUNGE", uid.decode())

    def _connect(self) -> imaplib.IMAP4:
        if self._tls:
            return imaplib.IMAP4_SSL(self._host, self._port, ssl_context=_verified(), timeout=PATIENCE)
        connection = imaplib.IMAP4(self._host, self._port, timeout=PATIENCE)
        if "STARTTLS" in connection.capabilities:
            connection.starttls(_verified())
        elif self._host not in _LOOPBACK:
            connection.shutdown()
            raise SettingsError("AURA_IMAP_URL: the server offers no STARTTLS for the password: use imaps://")
        return connection

    def _login(self) -> None:
        try:
            # Python quotes the password alone
            self._connection.login(_quoted(self._user), self._password)
        except imaplib.IMAP4.abort:
            raise
        except (imaplib.IMAP4.error, UnicodeError) as error:
            if _FOR_NOW.search(str(error).encode("utf-8", "replace")):
                raise Away(f"{self._host}:{self._port} takes no login for now") from None
            # `from None`, and not a word of the server's: both may repeat the password
            raise SettingsError(
                f"AURA_IMAP_URL: {self._host}:{self._port} refused the login of {self._user}: check user and password "
                "(some providers want an app password)"
            ) from None
        # what a server can do may change with the login
        self._can = set(self._connection.capability()[1][-1].decode("ascii", "replace").upper().split())

    def _select(self) -> None:
        kind, _ = self._connection.select(_quoted(self._folder))
        if kind != "OK":
            raise SettingsError(f"AURA_IMAP_URL: {self._host}:{self._port} has no folder {self._folder}")
        if "NAMESPACE" in self._can:
            [answer] = self._ask("NAMESPACE") or [b""]
            if found := re.match(rb'\(\("([^"]*)" "([^"]*)"\)', answer or b""):
                self._prefix, self._separator = found[1].decode("ascii", "replace"), found[2].decode("ascii", "replace")
        self._separator = self._separator.replace("\\\\", "\\") or "/"
        for name in ("", f"{self._separator}{DONE}", f"{self._separator}{REFUSED}"):
            # it says NO when the folder is there
            self._connection.create(_quoted(f"{self._prefix}Aura{name}"))

    def _ask(self, command: str, *arguments: str) -> list[Any]:
        """Return the answer's lines. Raises imaplib.IMAP4.error when the server says no."""
        if command == "UID":
            kind, answer = self._connection.uid(*arguments)
        elif command == "NAMESPACE":
            kind, answer = self._connection.namespace()
        else:
            kind, answer = self._connection.noop()
        if kind != "OK":
            raise imaplib.IMAP4.error(f"{command} {' '.join(arguments[:1])} was answered with {kind}")
        return list(answer)

    def _away(self, error: Exception) -> Exception:
        if isinstance(error, ssl.SSLCertVerificationError):
            return SettingsError(
                f"AURA_IMAP_URL: the certificate of {self._host}:{self._port} is not to be trusted "
                f"({error.verify_message}); SSL_CERT_FILE names the authority of a private mail server"
            )
        return Away(
            f"no conversation with {self._host}:{self._port} (AURA_IMAP_URL): {str(error) or type(error).__name__}"
        )

    def _hang_up(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown()
            self._connection = None


def _verified() -> ssl.SSLContext:
    return ssl.create_default_context()


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
