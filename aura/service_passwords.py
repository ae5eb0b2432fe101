"""Passwords of services that production refuses: empty ones, the user's name, and those that are guessed first.

The list has the defaults of servers, images and examples, and the commonest passwords of breach lists (NCSC, Have I Been
Pwned). The passwords of Aura's own users are checked by `aura.web.auth`, with a longer list.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, unquote

from aura import database_url

_WORDS = """
guest password passwd pass passw0rd p@ssw0rd p@ssword postgres postgresql rabbitmq rabbit redis smtp mail test testing
tester demo example sample dev develop development staging prod production changeme change-me change_me changeit
changethis default secret topsecret supersecret mysecret s3cret letmein welcome login access master root toor admin
administrator adm user username service system server database db mysql oracle mssql sa support helpdesk desk aura
qwerty qwertz azerty qwerty123 qwertyuiop asdfgh asdfghjkl zxcvbnm 1q2w3e4r 1qaz2wsx zaq12wsx abc123 abcd1234 abcdef
iloveyou monkey dragon football baseball sunshine princess superman batman michael ashley charlie trustno1
starwars hello freedom whatever nothing none null foobar foo bar baz xxx todo fixme placeholder your-password
yourpassword your_password mypassword replace-me replaceme insecure hunter2 passwort geheim kennwort motdepasse
contraseña senha wachtwoord 0 1 12 123 1234 12345 123456 1234567 12345678 123456789 1234567890 0123456789 987654321
123123 112233 121212 654321 123321 123qwe 1q2w3e 123abc a123456 qazwsx passpass
"""
COMMON = frozenset(_WORDS.split())
#: What people append to a word: digits and a mark, as in "password123!" or "Aura-2026".
_TAIL = re.compile(r"[\W_]*\d{0,4}[\W_]*$")
#: Options of libpq, and environment variables, that supply a password or replace it.
_LIBPQ_OPTIONS, _LIBPQ_VARIABLES = ("passfile", "sslcert", "service", "password"), ("PGPASSWORD", "PGPASSFILE")


def is_guessable(password: str, *names: str) -> bool:
    """Return whether a password is a common one, one of the names (user, database), or such a word with digits behind."""
    plain = password.casefold()
    known = COMMON | {name.casefold() for name in names if name}
    word = _TAIL.sub("", plain)
    return (
        len(set(plain)) <= 2 or plain in known or word in known or plain[::-1] in known or plain.strip("!?.*") in known
    )


def problem(variable: str, parts: SplitResult) -> str | None:
    """Return what is wrong with the password of a service's URL, or None. The answer contains no part of the URL."""
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if password:
        name = unquote(parts.path.strip("/"))
        return _guessable(variable, password, user, name if variable == "RABBITMQ_URL" else "")
    if (variable == "SMTP_URL" and not user) or _local([parts.hostname or ""]):
        return None  # a relay without login; a socket, or this machine
    if variable == "RABBITMQ_URL" and "certfile" in parts.query:
        return None
    return _missing(variable)


def database_problem(variable: str, url: str) -> str | None:
    """Return what is wrong with the password of a URL of PostgreSQL, or None. The answer contains no part of the URL."""
    parts = database_url.parse(url, database_url.READABLE)
    if parts.password:
        return _guessable(variable, parts.password, parts.user, parts.name)
    if _local([host for host, _ in parts.hosts]) or _other_login(parts.parameters):
        return None
    return _missing(variable)


def _guessable(variable: str, password: str, *names: str) -> str | None:
    bad = is_guessable(password, *names)
    return f"needs another password in {variable}: this one is a default password, or easy to guess" if bad else None


def _missing(variable: str) -> str:
    return f"needs a password in {variable}: it is empty, and the service is on another machine"


def _local(hosts: Sequence[str]) -> bool:
    return all(not host or host.startswith("/") or _loopback(host) for host in hosts)


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.casefold() in ("localhost", "localhost.")


def _other_login(options: Mapping[str, str]) -> bool:
    """Return whether libpq finds a password elsewhere, or needs none."""
    given = any(name in options for name in _LIBPQ_OPTIONS) or any(os.environ.get(name) for name in _LIBPQ_VARIABLES)
    return given or (Path.home() / ".pgpass").exists()
