"""Connections of imaplib that read long lines, and the encoding of folder names."""

from __future__ import annotations

import base64
import imaplib
import re
from typing import Any

#: Bytes of the longest line of a server, the answer to SEARCH; imaplib's limit of 1 MB is a mailbox of 150,000 mails.
MAX_LINE = 20_000_000


class _LongLines:
    """Overrides the methods of imaplib that read from the socket, to allow lines up to MAX_LINE."""

    sock: Any
    #: The socket, and the file that reads from it.
    _reader: tuple[Any, Any] | None = None

    def _file(self) -> Any:
        if self._reader is None or self._reader[0] is not self.sock:  # STARTTLS replaces the socket
            self._reader = self.sock, self.sock.makefile("rb")
        return self._reader[1]

    def read(self, size: int) -> bytes:
        return bytes(self._file().read(size))

    def readline(self) -> bytes:
        line = bytes(self._file().readline(MAX_LINE + 1))
        if len(line) > MAX_LINE:
            raise imaplib.IMAP4.error(f"the server sent a line of more than {MAX_LINE} bytes")
        return line

    def shutdown(self) -> None:
        if self._reader is not None:
            self._reader[1].close()
        super().shutdown()  # type: ignore[misc]  # of the IMAP4 class beside this one


class Connection(_LongLines, imaplib.IMAP4):
    """A connection that may begin TLS by STARTTLS."""


class TLSConnection(_LongLines, imaplib.IMAP4_SSL):
    """A connection with TLS from the beginning."""


def modified_utf7(name: str) -> str:
    """Return a folder's name as IMAP encodes it (RFC 3501, 5.1.3); an ASCII name is one that is encoded already.

    Python has no such codec, and imapclient's would be the only use of that package.
    """
    if name.isascii():
        return name

    def encode(match: re.Match[str]) -> str:
        encoded = base64.b64encode(match[0].encode("utf-16-be", "surrogatepass")).decode().rstrip("=")
        return f"&{encoded.replace('/', ',')}-"

    return re.sub(r"[^\x20-\x7e]+", encode, name.replace("&", "&-"))


def quoted(name: str) -> str:
    """Return a name as a quoted string of IMAP."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
