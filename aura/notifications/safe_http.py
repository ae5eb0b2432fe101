"""A POST to an address that somebody typed in, which must not become a way into our own network.

    post("https://hooks.example.com/aura", b"{}", {"Content-Type": "application/json"})

Only https, to public addresses, by default on port 443: every address the name resolves to is checked, and the connection
is made to the one that was checked, not to whatever the name means a moment later. Redirects are not followed, an answer is
read up to its limit, and all of it ends after half a minute. The rules for addresses follow RFC 6890; what is an IPv4 address
in another form (RFC 4291, 6052) is judged as that one, and the tunnels of old (RFC 3056, 4380, 6145) are refused.

Hosts of our own network can be named one by one, as `name:port` (AURA_WEBHOOK_HOSTS); plain http is allowed there too.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from aura.errors import InvalidInput

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Resolves (host, port) to addresses, as the first element of `socket.getaddrinfo`'s socket address.
Resolve = Callable[[str, int], list[str]]

#: Seconds for each wait on the socket, and for all of it; bytes of an answer that are read; addresses that are tried.
PATIENCE, LONGEST = 10.0, 30.0
LONGEST_ANSWER = 64_000
MOST_ADDRESSES = 3
#: NAT64 (RFC 6052): the last 32 bits are an IPv4 address, so a machine without IPv4 reaches the others.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: Last labels of names that only an inner network knows.
_INNER = ("local", "localhost", "internal", "lan", "home", "corp", "arpa")

#: Special by IANA's registry, and public to some versions of Python: a cloud keeps its secrets at 192.0.0.192, and an IPv6
#: address of 6to4, Teredo, local NAT64, IPv4-translated or IPv4-compatible leads to an IPv4 address that it hides somewhere.
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            *("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20", "5f00::/16"),
            *("2002::/16", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96"),
        ),
    )
)


class ForbiddenAddress(InvalidInput):
    """The address is none that we may send to; the text says why."""


class RequestFailed(Exception):
    """Nobody answered, or not in time; another try may help.

    `unsure`: the whole request had left before the answer failed to come, so it may have been taken.
    """

    def __init__(self, message: str, *, unsure: bool = False) -> None:
        super().__init__(message)
        self.unsure = unsure


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the headers in lower case, and the beginning of the body."""

    status: int
    headers: dict[str, str]
    body: bytes


def check(url: str, inside: Collection[str] = ()) -> SplitResult:
    """Return the parts of a URL that we may send to, as far as the text alone tells. Raises NotAllowed.

    `inside` are the hosts of our own network, as `name:port`, that are allowed by name.
    """
    if not url.isascii() or any(char.isspace() or not char.isprintable() or char == "\\" for char in url):
        raise ForbiddenAddress("write the address in ASCII, without spaces and backslashes (xn--... for other letters)")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ForbiddenAddress("this is no URL") from None
    if parts.username is not None or parts.password is not None:
        raise ForbiddenAddress("the address must hold no user and no password")
    if parts.scheme in ("http", "https") and parts.hostname and named(parts) in inside:
        return parts
    if parts.scheme != "https":
        raise ForbiddenAddress("only https:// addresses are allowed")
    if port not in (None, 443, 8443):
        raise ForbiddenAddress("only the ports 443 and 8443 are allowed")
    host = (parts.hostname or "").rstrip(".")
    if not host or "%" in host:
        raise ForbiddenAddress("the address names no host")
    literal = _literal(host)
    if literal is not None:
        _public(literal)
    elif "." not in host or host.rpartition(".")[2] in _INNER:
        raise ForbiddenAddress("the host is a name of an inner network")
    elif host.rpartition(".")[2][0].isdigit():
        # 0x7f.1 and 017700000001 are addresses to some
        raise ForbiddenAddress("write an IP address with four decimal numbers")
    return parts


def named(parts: SplitResult) -> str:
    """Return the host and port that a URL leads to as `name:port`, or `[address]:port` for IPv6."""
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{_port(parts)}"


def reachable(url: str, inside: Collection[str] = (), resolve: Resolve | None = None) -> tuple[SplitResult, list[str]]:
    """Return the parts of a URL that we may send to, with the addresses to send to. Raises NotAllowed, NotSent."""
    parts = check(url, inside)
    return parts, addresses(parts.hostname or "", _port(parts), resolve, inside=named(parts) in inside)


def addresses(host: str, port: int, resolve: Resolve | None = None, *, inside: bool = False) -> list[str]:
    """Return the addresses of a host, all of them public unless it is known to be inside.

    Raises NotAllowed, NotSent when the name is not known.
    """
    try:
        found = (resolve or _resolve)(host, port)
    except (OSError, UnicodeError):
        raise RequestFailed(f"{host} has no address") from None
    for each in found if not inside else ():
        _public(ipaddress.ip_address(each.partition("%")[0]))
    if not found:
        raise RequestFailed(f"{host} has no address")
    return found


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    inside: Collection[str] = (),
    resolve: Resolve | None = None,
    context: ssl.SSLContext | None = None,
) -> Answer:
    """Send the body and return the answer, of whatever status. Raises NotAllowed, NotSent."""
    parts, checked = reachable(url, inside, resolve)
    host, port = parts.hostname or "", _port(parts)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _Pinned(host, port, checked, (context or _trusted()) if parts.scheme == "https" else None)
    # whoever sends a byte every few seconds keeps within each wait, but not within this
    alarm = threading.Timer(LONGEST, connection.hang_up)
    alarm.daemon = True
    alarm.start()
    left = False
    try:
        connection.request("POST", target, body, dict(headers))
        left = True
        with connection.getresponse() as answer:
            text = b""
            with suppress(OSError, http.client.HTTPException):  # the status says it all, whatever becomes of the rest
                text = answer.read(LONGEST_ANSWER)
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, text)
    except (OSError, http.client.HTTPException) as error:
        raise RequestFailed(f"{host}: {type(error).__name__}", unsure=left) from None
    finally:
        alarm.cancel()
        connection.close()
        connection.hang_up()


class _Pinned(http.client.HTTPConnection):
    """Connects to an address that was checked, and over TLS has the other side prove the name that was asked for."""

    def __init__(self, host: str, port: int, checked: list[str], context: ssl.SSLContext | None) -> None:
        self.default_port = 443 if context else 80  # the Host header names any other
        super().__init__(host, port, timeout=PATIENCE)
        self._checked, self._tls = checked, context
        self._line: socket.socket | None = None
        self._over = False

    def connect(self) -> None:
        """Try the addresses in order. Raises OSError of the last one."""
        error: OSError = OSError("no address")
        for address in self._checked[:MOST_ADDRESSES]:
            try:
                plain = socket.create_connection((address, self.port), PATIENCE)
            except OSError as trouble:
                error = trouble
                continue
            self._line = plain.dup()
            if self._over:
                raise TimeoutError
            self.sock: Any = self._tls.wrap_socket(plain, server_hostname=self.host) if self._tls else plain
            return
        raise error

    def hang_up(self) -> None:
        """End the connection under whoever waits on it, or opens it just now."""
        self._over = True
        if self._line is not None:
            with suppress(OSError):  # the other side was faster
                self._line.shutdown(socket.SHUT_RDWR)
            self._line.close()


@cache
def _trusted() -> ssl.SSLContext:
    # loading the authorities takes longer than a request
    return ssl.create_default_context()


def _port(parts: SplitResult) -> int:
    return parts.port or (80 if parts.scheme == "http" else 443)


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _public(address: IPAddress) -> None:
    real = _real(address)
    # is_global is what IANA's registry says; multicast and site-local addresses are global to Python
    special = real.is_multicast or real.is_reserved or any(real in network for network in _SPECIAL)
    if special or not real.is_global or getattr(real, "is_site_local", False):
        raise ForbiddenAddress(f"{address} is no public address")


def _real(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv6 address stands for, if it is the plain form of one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped or address
