"""Passwords of services that production refuses."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from aura.service_passwords import database_problem, is_guessable, problem


@pytest.fixture(autouse=True)
def no_pgpass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PGPASSWORD", "PGPASSFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "password",
    [
        "desk",
        "DESK",
        "desk1",
        "Desk-2026!",
        "ksed",
        "tickets",
        "password1!",
        "aaaaaaaaaa",
        "ababab",
        "123456",
        "Contraseña",
    ],
)
def test_a_guessable_password_is_found(password: str) -> None:
    assert is_guessable(password, "desk", "tickets")


@pytest.mark.parametrize("password", ["3hj4", "tR7-mQ2x", "desk-of-many-words-that-nobody-guesses", "d2vS0vKk4Gq7"])
def test_another_password_is_accepted(password: str) -> None:
    assert not is_guessable(password, "desk", "tickets")


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("RABBITMQ_URL", "amqp://desk:desk@mq/"),
        ("RABBITMQ_URL", "amqp://desk:%64%65sk@mq/"),
        ("RABBITMQ_URL", "amqp://desk:tickets@127.0.0.1/tickets"),
        ("RABBITMQ_URL", "amqp://mq/"),
        ("DATABASE_URL", "postgresql://desk@db/tickets"),
        ("DATABASE_URL", "postgresql://desk:@db/tickets"),
        ("DATABASE_URL", "postgresql:///tickets?host=db&user=desk&password=desk"),
        ("DATABASE_URL", "postgresql:///tickets?host=db"),
        ("DATABASE_URL", "postgresql://desk:root@localhost/tickets"),
        ("REDIS_URL", "redis://cache:6379/0"),
        ("REDIS_URL", "rediss://:redis@cache:6379/0"),
        ("SMTP_URL", "smtp://desk:desk@mail:587"),
        ("SMTP_URL", "smtp://desk@mail:587"),
    ],
)
def test_a_url_with_a_guessable_or_empty_password_is_refused_without_its_text(variable: str, url: str) -> None:
    found = _problem(variable, url)
    assert found is not None and variable in found
    assert "desk" not in found and "tickets" not in found and "cache" not in found


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("RABBITMQ_URL", "amqps://desk:tR7-mQ2x@mq/"),
        ("RABBITMQ_URL", "amqps://mq/?ssl_options={'certfile':'/etc/aura/client.pem'}"),
        ("DATABASE_URL", "postgresql://desk:tR7-mQ2x@db/tickets"),
        ("DATABASE_URL", "postgresql:///tickets"),
        ("DATABASE_URL", "postgresql:///tickets?host=/var/run/postgresql"),
        ("DATABASE_URL", "postgresql://desk@127.0.0.1/tickets"),
        ("DATABASE_URL", "postgresql://desk@db/tickets?sslcert=/etc/aura/client.pem"),
        ("DATABASE_URL", "postgresql://desk@db/tickets?passfile=/etc/aura/pgpass"),
        ("REDIS_URL", "redis://127.0.0.1:6379/0"),
        ("REDIS_URL", "redis://[::1]:6379/0"),
        ("REDIS_URL", "redis://localhost:6379/0"),
        ("REDIS_URL", "unix:///run/redis.sock"),
        ("SMTP_URL", "smtp://relay.example.com:25"),
        ("SMTP_URL", "smtp://desk:tR7-mQ2x@mail:587"),
    ],
)
def test_a_good_password_a_socket_and_a_certificate_are_accepted(variable: str, url: str) -> None:
    assert _problem(variable, url) is None


def test_a_password_that_libpq_finds_elsewhere_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSFILE", "/etc/aura/pgpass")
    assert database_problem("DATABASE_URL", "postgresql://desk@db/tickets") is None


def _problem(variable: str, url: str) -> str | None:
    return database_problem(variable, url) if variable == "DATABASE_URL" else problem(variable, urlsplit(url))
