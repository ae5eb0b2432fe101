"""URLs of RabbitMQ: a cluster is a comma-separated list of hosts, or several URLs separated by commas or semicolons.

    amqps://aura:secret@mq1,mq2:5672,[2001:db8::1]:5671/vhost?cacertfile=/etc/aura/ca.pem
    amqp://aura:secret@mq1/vhost;amqp://aura:secret@mq2/vhost

Only this module takes such a value apart: `pika.URLParameters` reads one host, and `urllib` reads a list of hosts as one name.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlsplit

#: A separator of URLs is followed by the next scheme: a password may contain both characters.
_NEXT_URL = re.compile(r"\s*[,;]\s*(?=amqps?://)", re.IGNORECASE)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+(?:%25?[\w.-]+)?\]|[^\s\[\]:/?#@,]+)(?::(?P<port>\d{1,5}))?")
ENCODE = "percent-encode special characters of user, password and virtual host (/ is %2F, # is %23)"


def split_urls(value: str) -> list[SplitResult]:
    """Return a URL for each host, in the order of the value. Raises ValueError without any part of the value."""
    found: list[SplitResult] = []
    for url in _NEXT_URL.split(value.strip()):
        scheme, separator, rest = url.partition("://")
        if scheme.lower() not in ("amqp", "amqps") or not separator:
            raise ValueError("must start with amqp:// or amqps://")
        authority = re.match(r"[^/?#]*", rest)
        assert authority
        path, mark, query = rest[authority.end() :].partition("?")
        tail = ("/%2F" if path == "//" else path) + mark + query  # the form of Celery
        if "@" in tail or tail.partition("?")[0].count("/") > 1 or "#" in tail:
            # the password or the virtual host contains an unencoded character, and would be cut off or shown
            raise ValueError(f"is not a URL: {ENCODE}")
        login, at, hosts = authority[0].rpartition("@")
        found += [_one(f"{scheme}://{login}{at}{host}{tail}", host) for host in hosts.split(",")]
    return found


def _one(url: str, host: str) -> SplitResult:
    matched = _HOST.fullmatch(host)
    if not host.rpartition(":")[0] and not host.strip(":"):
        raise ValueError("must start with amqp:// or amqps://, and name a host: amqp://user:password@host/vhost")
    valid = matched is not None and int(matched["port"] or 1) in range(1, 65536)
    if matched is not None and valid and matched["name"].startswith("["):
        try:
            IPv6Address(matched["name"][1:-1].partition("%")[0])
        except ValueError:
            valid = False
    if not valid:
        # outside `except`: the original error contains a part of the URL, which may be the password
        raise ValueError(f"is not a URL: a host is a name or an address, with a port from 1 to 65535; {ENCODE}")
    return urlsplit(url)


def assemble(hosts: str, port: int, user: str, password: str, vhost: str) -> str:
    """Return the URL of hosts, comma-separated, each with its own port or the given one; the other parts are encoded already.

    Raises ValueError, which names RABBITMQ_HOST.
    """
    places = []
    for host in hosts.split(","):
        name = host.strip()
        if name.count(":") > 1 and not name.startswith("["):
            name = f"[{name}]"
        if not (matched := _HOST.fullmatch(name)):
            raise ValueError(
                "RABBITMQ_HOST must be a host name or an address, or several of them, comma-separated, such as mq1,mq2:5673"
            )
        places.append(name if matched["port"] else f"{name}:{port}")
    return f"amqp://{user}:{password}@{','.join(places)}/{vhost}"


def redact_urls(value: str) -> str:
    """Return the value without passwords and queries, for logs."""
    shown: dict[tuple[str, str, str], list[str]] = {}
    for parts in split_urls(value):
        user = f"{parts.username}:***@" if parts.password else (f"{parts.username}@" if parts.username else "")
        shown.setdefault((parts.scheme, user, parts.path), []).append(parts.netloc.rpartition("@")[2])
    return ";".join(f"{scheme}://{user}{','.join(hosts)}{path}" for (scheme, user, path), hosts in shown.items())
