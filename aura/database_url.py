"""URLs of PostgreSQL as libpq reads them: several hosts, `target_session_attrs`, and `options` of the session.

SQLAlchemy reads one host before the path, and several only as `?host=a:1&host=b:2`; both forms are read here, because
failover documentation of PostgreSQL shows the first one. (libpq, "Connection URIs":
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS)
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

#: What a writer can use; with several hosts the first one that accepts writes is the default.
WRITABLE = ("any", "read-write", "primary")
#: What a reader can use, in AURA_DATABASE_READ_URL.
READABLE = (*WRITABLE, "read-only", "standby", "prefer-standby")
#: Parameters of the session that Aura sets itself; another value would make its times wrong, or every write fail.
RESERVED = {
    "timezone": "Aura works in UTC",
    "default_transaction_read_only": "Aura writes",
    "transaction_read_only": "Aura writes",
}
_FORM = "must have the form postgresql://user:password@host:port/name"
_ENCODE = "is not a URL: percent-encode special characters of user and password (/ is %2F, # is %23)"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The parts of a URL, decoded. A port is empty where the URL has none; a host is empty, a name, an address or a folder."""

    user: str
    password: str
    hosts: tuple[tuple[str, str], ...]
    name: str
    #: The other parameters of libpq, such as sslmode.
    parameters: dict[str, str]

    @property
    def options(self) -> str:
        """The parameters of the session that libpq sends at its start, such as `-c search_path=desk`."""
        return self.parameters.get("options", "")

    def shown(self) -> str:
        """Return the URL without password and parameters, for logs."""
        login = f"{self.user}:***@" if self.password else (f"{self.user}@" if self.user else "")
        hosts = ",".join(_written(host) + (f":{port}" if port else "") for host, port in self.hosts)
        return f"postgresql://{login}{hosts}/{self.name}"

    def arguments(self) -> dict[str, str]:
        """Return the arguments of psycopg2.connect."""
        found = dict(self.parameters)
        if any(host for host, _ in self.hosts):
            found["host"] = ",".join(host for host, _ in self.hosts)
        if any(port for _, port in self.hosts):
            found["port"] = ",".join(port for _, port in self.hosts)
        for key, value in (("user", self.user), ("password", self.password), ("dbname", self.name)):
            if value:
                found[key] = value
        if len(self.hosts) > 1:
            found.setdefault("target_session_attrs", "read-write")
        return found


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host.replace("/", "%2F")


def parse(url: str, allowed: tuple[str, ...] = WRITABLE) -> DatabaseUrl:
    """Return the parts of a URL of PostgreSQL.

    `allowed` are the values of `target_session_attrs` that the use permits. Raises ValueError without any part of the URL
    but names and values of parameters that hold no secret.
    """
    match = re.fullmatch(r"[^:/]*://([^/?#]*)(?:/([^?#]*))?(?:\?([^#]*))?(#.*)?", url, re.DOTALL)
    if match is None or match[4]:
        raise ValueError(_ENCODE)
    authority, path, query = match[1], match[2] or "", match[3] or ""
    if "@" in path + query.partition("=")[0]:
        raise ValueError(_ENCODE)  # the password contains an unencoded /, and would be shown as the path
    login, _, hosts = authority.rpartition("@")
    user, _, password = login.partition(":")
    parameters = {key: value for key, value in parse_qsl(query, keep_blank_values=True) if key not in ("host", "port")}
    places = _places(hosts, parse_qsl(query, keep_blank_values=True))
    _check(parameters, allowed)
    found = DatabaseUrl(
        parameters.pop("user", "") or unquote(user),
        parameters.pop("password", "") or unquote(password),
        places,
        parameters.pop("dbname", "") or unquote(path),
        parameters,
    )
    if any("\0" in each for each in (found.user, found.password, found.name, *parameters.values())):
        raise ValueError("must not contain %00")
    return found


def _places(hosts: str, query: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return hosts and ports: those of the parameters, in the form of libpq or SQLAlchemy, else those before the path."""
    named = [each for key, value in query if key == "host" for each in value.split(",")]
    ports = [each for key, value in query if key == "port" for each in value.split(",")]
    places = [_place(unquote(each)) for each in (named or hosts.split(","))]
    if ports and len(ports) not in (1, len(places)):
        raise ValueError(f"has {len(places)} hosts and {len(ports)} ports: name one port, or one for each host")
    if ports:
        given = ports * len(places) if len(ports) == 1 else ports
        places = [(host, port or _port(other)) for (host, port), other in zip(places, given, strict=True)]
    if len(places) > 1 and not all(host for host, _ in places):
        raise ValueError("has an empty host: separate hosts by one comma, as in postgresql://db1:5432,db2:5432/name")
    return tuple(places)


def _place(text: str) -> tuple[str, str]:
    if text.startswith("/"):
        return text, ""  # the folder of a socket
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:\[\]\s]*))(?::(\d*))?", text)
    if match is None:
        raise ValueError(f"{_FORM}; an IPv6 address is in brackets, and several hosts are separated by commas")
    return match[1] or match[2] or "", _port(match[3] or "")


def _port(text: str) -> str:
    if text and not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65536):
        raise ValueError("has a port that is no number from 1 to 65535")
    return text


def _check(parameters: dict[str, str], allowed: tuple[str, ...]) -> None:
    wanted = parameters.get("target_session_attrs", "any")
    if wanted not in allowed:
        raise ValueError(f"target_session_attrs must be one of {', '.join(allowed)}")
    for name, value in session_parameters(parameters.get("options", "")).items():
        utc = name == "timezone" and value.upper() in ("UTC", "ETC/UTC", "GMT")
        off = name.endswith("read_only") and value.lower() in ("off", "false", "no", "0")
        if name in RESERVED and not utc and not off:
            raise ValueError(f"its options set {name}: {RESERVED[name]}, so remove it")


def session_parameters(options: str) -> dict[str, str]:
    """Return the parameters that `options` sets by `-c name=value`, `-cname=value` or `--name=value`, in lower case.

    Other words, such as Neon's `endpoint=...`, are for the server or its proxy alone.
    """
    try:
        words = shlex.split(options)
    except ValueError:
        words = options.split()
    found: dict[str, str] = {}
    for place, word in enumerate(words):
        text = (
            words[place + 1]
            if word == "-c" and place + 1 < len(words)
            else word[2:]
            if word[:2] in ("-c", "--")
            else ""
        )
        name, equals, value = text.partition("=")
        if equals:
            found[name.strip().lower().replace("-", "_")] = value
    return found
