"""Health for load balancers, metrics for Prometheus, and the checks behind `aura doctor`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass

import pika
import prometheus_client
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client.core import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy.exc import SQLAlchemyError

from aura.jobs.rabbitmq.publisher import describe, parameters
from aura.settings import SettingsError, first_line, get_settings, redact
from aura.web.auth.identity import Reader
from aura.web.metrics import FromDatabase
from db import notifications, reading
from db.migrate import outdated, revisions
from db.process_stats import living, waiting_longest

router = APIRouter(tags=["health"])


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must work, or that is good to know; `fix` says what to do about it."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def check_settings() -> Check:
    try:
        return Check("settings", True, get_settings().mode())
    except SettingsError as error:
        return Check("settings", False, str(error), "correct the variable that is named")


def check_database() -> Check:
    where = redact(get_settings().database_url.get_secret_value())
    try:
        current, newest = revisions()
    except SQLAlchemyError as error:
        return Check("database", False, f"{where}: {first_line(error)}", "start it, or correct DATABASE_URL")
    if outdated(current):
        return Check("database", False, f"{where}: revision {current or 'none'}, newest {newest}", "run `aura migrate`")
    return Check("database", True, f"{where}: revision {current}")


def check_rabbitmq() -> Check:
    settings = get_settings()
    if settings.rabbitmq_url is None:
        return Check("rabbitmq", True, "not set: embedded mode")
    where = redact(settings.rabbitmq_url.get_secret_value())
    try:
        with pika.BlockingConnection(parameters(settings)):
            return Check("rabbitmq", True, where)
    except (pika.exceptions.AMQPError, OSError) as error:
        return Check("rabbitmq", False, f"{where}: {describe(error)}", "start it, or correct RABBITMQ_URL")


def check_redis() -> Check:
    settings = get_settings()
    if settings.redis_url is None:
        if settings.openai_api_key and not settings.embedded:
            said = "not set: each process counts what OpenAI costs for itself, so together they may pass the budget"
            return Check("redis", False, said, "set REDIS_URL")
        return Check("redis", True, "not set: not needed by the local engine, nor by a single process")
    import redis

    url = settings.redis_url.get_secret_value()
    try:
        redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3).ping()
    except (redis.RedisError, OSError, ValueError) as error:
        return Check("redis", False, f"{redact(url)}: {type(error).__name__}", "start it, or correct REDIS_URL")
    return Check("redis", True, redact(url))


def check_openai() -> Check:
    settings = get_settings()
    if settings.openai_api_key is None:
        return Check("openai", True, "no OPENAI_API_KEY: the local engine classifies")
    import openai

    key = settings.openai_api_key.get_secret_value()
    client = openai.OpenAI(api_key=key, base_url=settings.openai_base_url, timeout=5, max_retries=0)
    try:
        client.models.retrieve(settings.ai_model)
    except openai.AuthenticationError:
        return Check("openai", False, "the key is refused", "correct OPENAI_API_KEY")
    except openai.NotFoundError:
        return Check("openai", False, f"the provider has no model {settings.ai_model}", "correct AI_MODEL")
    except openai.OpenAIError as error:
        return Check("openai", False, type(error).__name__, "check the network and OPENAI_BASE_URL")
    return Check("openai", True, f"model {settings.ai_model}")


def check_work() -> Check:
    """Is there somebody to work, and does nothing wait that should not?"""
    settings = get_settings()
    try:
        with reading() as session:
            workers, relays = (living(session, kind, settings.worker_dead_after) for kind in ("worker", "relay"))
            longest = waiting_longest(session)
    except SQLAlchemyError:
        return Check("work", False, "unknown while the database cannot be asked")
    said = f"{workers} workers, {relays} relays, the oldest due job waits {longest:.0f} s"
    stuck = longest > 60 and not relays
    return Check("work", not stuck, said, "start `dramatiq actors` or `aura run`" if stuck else "")


def check_unknown() -> Check:
    """Does nothing wait for a person to say whether it left?"""
    try:
        with reading() as session:
            count = notifications.unknown(session)
    except SQLAlchemyError:
        return Check("unknown", True, "not known while the database cannot be asked")
    if not count:
        return Check("unknown", True, "no notification of which nobody knows whether it left")
    fix = "`aura notices list --state unknown`, then `resend` or `settle` each"
    return Check("unknown", True, f"{count} notifications may or may not have left", fix)


def check_mailbox() -> Check:
    url = get_settings().imap_url
    if url is None:
        return Check("imap", True, "not set: no mails are taken from a mailbox")
    from aura.mail.imap import Mailbox, MailServerUnavailable

    try:
        with Mailbox(url.get_secret_value()) as mailbox:
            return Check("imap", True, mailbox.name)
    except (MailServerUnavailable, SettingsError) as error:
        return Check("imap", False, f"{redact(url.get_secret_value())}: {error}", "start it, or correct AURA_IMAP_URL")


def check_pipelines() -> Check:
    name = get_settings().pipelines
    try:
        importlib.import_module(name)
    except ImportError as error:
        return Check("pipelines", False, str(error), "correct AURA_PIPELINES")
    return Check("pipelines", True, name)


CHECKS: tuple[Callable[[], Check], ...] = (
    check_settings,
    check_database,
    check_rabbitmq,
    check_redis,
    check_openai,
    check_pipelines,
    check_work,
    check_unknown,
    check_mailbox,
)


def checks() -> list[Check]:
    """Run every check; with wrong settings there is nothing more to check."""
    first = check_settings()
    return [first, *(check() for check in CHECKS[1:])] if first.ok else [first]


@router.get("/health/live", summary="Is the process alive?")
def live() -> dict[str, str]:
    """Answer while the process can answer at all."""
    return {"status": "alive"}


@router.get("/health/ready", summary="Can tickets be accepted?")
def ready() -> JSONResponse:
    """Answer 200 when tickets can be accepted: that takes the database alone, RabbitMQ may be down."""
    database = check_database()
    body = {"status": "ready" if database.ok else "not ready", "database": database.detail}
    return JSONResponse(body, 200 if database.ok else 503)


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
def metrics(_who: Reader) -> Response:
    """Return the counters of this process (of all on this machine with PROMETHEUS_MULTIPROC_DIR) and the queues' state."""
    registry = CollectorRegistry()
    registry.register(FromDatabase())
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)
        counters = b""
    else:
        counters = prometheus_client.generate_latest()
    return Response(
        counters + prometheus_client.generate_latest(registry), media_type=prometheus_client.CONTENT_TYPE_LATEST
    )
