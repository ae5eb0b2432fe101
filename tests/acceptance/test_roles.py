"""Each process of Kubernetes starts in production with the variables of its own secret alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from aura.settings import get_settings
from tests.acceptance.conftest import Installation
from tests.conftest import ROOT
from tests.services import RabbitMQ, wait_until
from tests.unit.deploy.test_deploy import DEPLOY, variables

KEY = "d2vS0v-Kk4Gq7dEwXv1u3hX0b1o8C5tYp9aQz6mJrNs"
#: Variables that open another service, and the only role that has them.
OF_WORKERS = {"RABBITMQ_URL", "SMTP_URL", "OPENAI_API_KEY"}
COMMANDS = {"web": "web", "worker": "worker", "scheduler": "scheduler", "migrate": "release"}


def secret_of(role: str) -> set[str]:
    """Return the variables that the manifest of a role names for its secret; optional ones follow a semicolon."""
    [line] = re.findall(rf"# (.*)made by your secret store\n +- secretRef: {{name: aura-{role}}}", manifest(role))
    return set(re.findall(r"\b[A-Z][A-Z_]+_[A-Z_]+\b", line.partition(";")[0]))


def manifest(role: str) -> str:
    return (ROOT / f"deploy/kubernetes/{role}.yaml").read_text()


@pytest.fixture
def account(rabbitmq: RabbitMQ, rabbitmq_url: str) -> Iterator[str]:
    """A URL of RabbitMQ with a user whose password production accepts."""
    parts, every = urlsplit(rabbitmq_url), '<<".*">>'
    rabbitmq.evaluate('rabbit_auth_backend_internal:add_user(<<"aura-worker">>, <<"tR7-mQ2x">>, <<"tests">>)')
    rabbitmq.evaluate(
        f'rabbit_auth_backend_internal:set_permissions(<<"aura-worker">>, <<"{parts.path[1:]}">>, '
        f'{every}, {every}, {every}, <<"tests">>)'
    )
    yield rabbitmq_url.replace("guest:guest", "aura-worker:tR7-mQ2x")
    rabbitmq.evaluate('rabbit_auth_backend_internal:delete_user(<<"aura-worker">>, <<"tests">>)')


def test_a_secret_has_what_its_role_needs_and_no_key_of_another_service() -> None:
    for role in COMMANDS:
        assert {"DATABASE_URL", "AURA_ENCRYPTION_KEYS"} <= secret_of(role)
        assert (secret_of(role) & OF_WORKERS) == (OF_WORKERS if role == "worker" else set())
        assert manifest(role).count("secretRef") == 1
        assert f"{{name: aura-{role}}}" in manifest(role)


def test_each_role_starts_with_its_own_variables(
    build: Callable[..., Installation], postgres_url: str, redis_url: str, account: str
) -> None:
    everything = {
        "DATABASE_URL": postgres_url,
        "AURA_ENCRYPTION_KEYS": KEY,
        "REDIS_URL": redis_url,
        "RABBITMQ_URL": account,
        "SMTP_URL": "smtp://127.0.0.1:1",
        "OPENAI_API_KEY": "sk-test",
    }
    shared = variables(DEPLOY / "kubernetes/settings.env")
    for name in ("AURA_QUORUM_QUEUES", "AURA_METRICS_PORT"):
        del shared[name]

    def of(role: str) -> Installation:
        return build(**shared, **{name: everything[name] for name in secret_of(role)})

    of("migrate").aura("migrate")
    of("web").aura("users", "create", "ann", "--role", "admin", stdin="tR7-mQ2x-kV9p\ntR7-mQ2x-kV9p\n")
    web, worker, scheduler = of("web"), of("worker"), of("scheduler")
    programs = [each.procfile(name) for each, name in ((web, "web"), (worker, "worker"), (scheduler, "scheduler"))]
    web.wait_until_ready()
    wait_until(
        lambda: (
            web.scalar("SELECT count(DISTINCT kind) FROM workers WHERE heartbeat_at > now() - interval '10 s'") == 2
        ),
        60,
        lambda: programs[1].output()[-2000:],
    )
    wait_until(lambda: "scheduler started" in programs[2].output(), 30, lambda: programs[2].output()[-2000:])
    assert all(each.process is not None and each.process.poll() is None for each in programs)

    # a worker without its account ends with the name of the setting
    without = build(**shared, **{name: everything[name] for name in secret_of("scheduler")})
    refused = without.procfile("worker")
    assert refused.process is not None
    wait_until(lambda: "RABBITMQ_URL: not set" in refused.output(), 60, lambda: refused.output()[-2000:])
    get_settings.cache_clear()
