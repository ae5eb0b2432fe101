"""Safe HTTP (SSRF guard): a POST to a URL that a user entered, to public addresses only.

    post("https://hooks.example.com/aura", b"{}", {"Content-Type": "application/json"})

Only https is allowed, on the ports 443 and 8443. Every address that the host name resolves to is checked, and the connection
is made to a checked address, so a later DNS answer changes nothing. Redirects are not followed, an answer is read up to a
limit, and a request ends after half a minute. The rules for addresses follow RFC 6890. An IPv6 address that contains an IPv4
address (RFC 4291, 6052) is judged by the latter; addresses of tunnels (RFC 3056, 4380, 6145) are refused.

AURA_WEBHOOK_HOSTS allows single hosts of the private network as `name:port`, with plain http too.
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
from typing import Any
from urllib.parse import SplitResult, urlsplit

from aura.errors import InvalidInput, Unavailable
from aura.tls import https_context

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Resolves (host, port) to addresses, as the first element of `socket.getaddrinfo`'s socket address.
Resolve = Callable[[str, int], list[str]]

#: Seconds of each wait on the socket, and of the whole request; bytes of an answer that are read; addresses that are tried.
WAIT_SECONDS, TOTAL_SECONDS = 10.0, 30.0
ANSWER_LIMIT = 64_000
ADDRESSES_LIMIT = 3
#: NAT64 (RFC 6052): the last 32 bits are an IPv4 address.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: Last labels of host names in private networks.
_PRIVATE_DOMAINS = ("local", "localhost", "internal", "lan", "home", "corp", "arpa")

#: Special in IANA's registry, but global to some versions of Python: 192.0.0.192 serves the metadata of a cloud, and IPv6
#: addresses of 6to4, Teredo, local NAT64, IPv4-translated and IPv4-compatible contain an IPv4 address.
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
    """Requests to the address are not allowed; the message says why."""


class RequestFailed(Unavailable):
    """The server did not answer in time; another attempt may succeed.

    `in_doubt`: the whole request was sent before the answer failed to arrive, so the server may have processed it.
    """

    def __init__(self, message: str, *, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: the status, the headers with names in lower case, and the beginning of the body."""

    status: int
    headers: dict[str, str]
    body: bytes


def check(url: str, internal_hosts: Collection[str] = ()) -> SplitResult:
    """Return the parts of an allowed URL, without resolving its host name. Raises ForbiddenAddress.

    `internal_hosts` are the allowed hosts of the private network, as `name:port`.
    """
    if not url.isascii() or any(char.isspace() or not char.isprintable() or char == "\\" for char in url):
        raise ForbiddenAddress("write the address in ASCII, without spaces and backslashes (xn--... for other letters)")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ForbiddenAddress("this is not a URL") from None
    if parts.username is not None or parts.password is not None:
        raise ForbiddenAddress("the address must hold no user and no password")
    if parts.scheme in ("http", "https") and parts.hostname and host_and_port(parts) in internal_hosts:
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
    elif "." not in host or host.rpartition(".")[2] in _PRIVATE_DOMAINS:
        raise ForbiddenAddress("the host name belongs to a private network")
    elif host.rpartition(".")[2][0].isdigit():
        # some resolvers read 0x7f.1 and 017700000001 as addresses
        raise ForbiddenAddress("write an IP address with four decimal numbers")
    return parts


def host_and_port(parts: SplitResult) -> str:
    """Return the host and port of a URL as `name:port`, or `[address]:port` for IPv6."""
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{_port(parts)}"


def reachable(
    url: str, internal_hosts: Collection[str] = (), resolve: Resolve | None = None
) -> tuple[SplitResult, list[str]]:
    """Return the parts of an allowed URL, and the addresses of its host. Raises ForbiddenAddress, RequestFailed."""
    parts = check(url, internal_hosts)
    internal = host_and_port(parts) in internal_hosts
    return parts, addresses(parts.hostname or "", _port(parts), resolve, internal=internal)


def addresses(host: str, port: int, resolve: Resolve | None = None, *, internal: bool = False) -> list[str]:
    """Return the addresses of a host, all of them public unless the host is an allowed internal one.

    Raises ForbiddenAddress; RequestFailed when the name cannot be resolved.
    """
    try:
        resolved = (resolve or _resolve)(host, port)
    except (OSError, UnicodeError):
        raise RequestFailed(f"{host} has no address") from None
    for each in resolved if not internal else ():
        _public(ipaddress.ip_address(each.partition("%")[0]))
    if not resolved:
        raise RequestFailed(f"{host} has no address")
    return resolved


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    internal_hosts: Collection[str] = (),
    resolve: Resolve | None = None,
    context: ssl.SSLContext | None = None,
) -> Answer:
    """Send the body and return the answer, whatever its status. Raises ForbiddenAddress, RequestFailed."""
    parts, checked = reachable(url, internal_hosts, resolve)
    host, port = parts.hostname or "", _port(parts)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _Pinned(host, port, checked, (context or https_context()) if parts.scheme == "https" else None)
    # a server that sends a byte every few seconds exceeds this limit only
    alarm = threading.Timer(TOTAL_SECONDS, connection.hang_up)
    alarm.daemon = True
    alarm.start()
    sent = False
    try:
        connection.request("POST", target, body, dict(headers))
        sent = True
        with connection.getresponse() as answer:
            text = b""
            with suppress(OSError, http.client.HTTPException):  # the status is enough
                text = answer.read(ANSWER_LIMIT)
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, text)
    except (OSError, http.client.HTTPException) as error:
        raise RequestFailed(f"{host}: {type(error).__name__}", in_doubt=sent) from None
    finally:
        alarm.cancel()
        connection.close()
        connection.hang_up()


class _Pinned(http.client.HTTPConnection):
    """Connects to a checked address; over TLS the server proves the host name of the URL."""

    def __init__(self, host: str, port: int, checked: list[str], context: ssl.SSLContext | None) -> None:
        self.default_port = 443 if context else 80  # the Host header names any other
        super().__init__(host, port, timeout=WAIT_SECONDS)
        self._checked, self._tls = checked, context
        self._socket: socket.socket | None = None
        self._closed = False

    def connect(self) -> None:
        """Try the addresses in order. Raises OSError of the last one."""
        error: OSError = OSError("no address")
        for address in self._checked[:ADDRESSES_LIMIT]:
            try:
                plain = socket.create_connection((address, self.port), WAIT_SECONDS)
            except OSError as failure:
                error = failure
                continue
            self._socket = plain.dup()
            if self._closed:
                raise TimeoutError
            self.sock: Any = self._tls.wrap_socket(plain, server_hostname=self.host) if self._tls else plain
            return
        raise error

    def hang_up(self) -> None:
        """Close the connection, also while another thread opens it or waits on it."""
        self._closed = True
        if self._socket is not None:
            with suppress(OSError):  # the server closed it first
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()


def _port(parts: SplitResult) -> int:
    return parts.port or (80 if parts.scheme == "http" else 443)


def _resolve(host: str, port: int) -> list[str]:
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in entries))


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _public(address: IPAddress) -> None:
    embedded = _embedded(address)
    # is_global follows IANA's registry; Python counts multicast and site-local addresses as global
    special = embedded.is_multicast or embedded.is_reserved or any(embedded in network for network in _SPECIAL)
    if special or not embedded.is_global or getattr(embedded, "is_site_local", False):
        raise ForbiddenAddress(f"{address} is not a public address")


def _embedded(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv6 address contains, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped or address
