"""Health endpoints for load balancers, /metrics for Prometheus, and the checks of `aura doctor`."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

import prometheus_client
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client.core import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

from aura.attachments.storage import make_storage, probe
from aura.errors import AuraError, ConfigurationError
from aura.jobs.rabbitmq.inspection import inspect
from aura.oauth import LoginRequired, TokenServerUnavailable, token_source
from aura.oauth.grants import LOGIN
from aura.oauth.logins import Logins
from aura.settings import OAuthProvider, Settings, SettingsError, get_settings, redact
from aura.web.auth.requirements import Reader
from aura.web.checks import Check
from aura.web.database_health import check_database, check_failover
from aura.web.metrics import DatabaseMetrics
from aura.web.problems import DATABASE_RETRY_AFTER
from db import (
    alerts,
    clock_jumps,
    encryption,
    leader_election,
    notifications,
    queue_controls,
    reading,
    secret_columns,
)
from db.pooler import WrongPoolerMode
from db.process_stats import count_live, oldest_due_seconds, problems, runs_for, stalled_seconds
from pipelines.scheduler import LEASE

router = APIRouter(tags=["health"])

#: Seconds that the oldest available job may wait before work counts as stuck.
STUCK_AFTER = 60


def check_settings() -> Check:
    try:
        return Check("settings", True, get_settings().mode())
    except SettingsError as error:
        return Check("settings", False, str(error), "correct the variable")


def check_rabbitmq() -> Check:
    settings = get_settings()
    if settings.rabbitmq_url is None:
        return Check(
            "rabbitmq", True, "not set: embedded mode" if settings.embedded else "not set: only workers need it"
        )
    where = redact(settings.rabbitmq_url.get_secret_value())
    import actors

    try:
        problems = inspect(settings, actors.broker.get_declared_queues(), actors.TOPOLOGY)
    except SettingsError as error:
        return Check("rabbitmq", False, str(error), "correct RABBITMQ_URL")
    if not problems:
        return Check("rabbitmq", True, where)
    first = problems[0]
    more = f" (and {len(problems) - 1} more: {', '.join(each.what for each in problems[1:6])})" if problems[1:] else ""
    return Check("rabbitmq", False, f"{where}: {first.what}: {first.reason}{more}", first.fix)


def check_redis() -> Check:
    settings = get_settings()
    if settings.redis_url is None:
        if settings.openai_api_key and not settings.embedded:
            if settings.sqlite:
                detail = "not set: each process counts its own AI costs, so all together may exceed AURA_AI_BUDGET_DAY"
                return Check("redis", False, detail, "set REDIS_URL, or use PostgreSQL")
            detail = "not set: PostgreSQL counts the AI costs, and each process has a circuit breaker of its own"
            return Check("redis", True, detail)
        return Check("redis", True, "not set: the local engine and embedded mode do not need it")
    import redis

    from aura.ai.engines.shared_state import describe as reason

    url = settings.redis_url.get_secret_value()
    try:
        redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3).ping()
    except (redis.RedisError, OSError, ValueError) as error:
        return Check("redis", False, f"{redact(url)}: {reason(error)}", "start Redis, or correct REDIS_URL")
    return Check("redis", True, redact(url))


def check_openai() -> Check:
    settings = get_settings()
    if settings.openai_api_key is None:
        return Check("openai", True, "OPENAI_API_KEY is not set: the local engine classifies")
    import openai

    key = settings.openai_api_key.get_secret_value()
    client = openai.OpenAI(api_key=key, base_url=settings.openai_base_url, timeout=5, max_retries=0)
    try:
        client.models.retrieve(settings.ai_model)
    except openai.AuthenticationError:
        return Check("openai", False, "the provider refuses the key", "correct OPENAI_API_KEY")
    except openai.NotFoundError:
        return Check("openai", False, f"the provider has no model {settings.ai_model}", "correct AI_MODEL")
    except openai.OpenAIError as error:
        return Check("openai", False, type(error).__name__, "check the network and OPENAI_BASE_URL")
    return Check("openai", True, f"model {settings.ai_model}")


def check_work() -> Check:
    """Check that jobs which are due reach a worker."""
    settings = get_settings()
    try:
        with reading() as session:
            workers, relays = (count_live(session, kind, settings.worker_dead_after) for kind in ("worker", "relay"))
            oldest = oldest_due_seconds(session)
            future = clock_jumps.future_jobs(session)
            paused = any(each.paused for each in queue_controls.current(session).values())
            # a relay that just started has not had the time
            started = bool(relays) and not runs_for(session, "relay", STUCK_AFTER, settings.worker_dead_after)
            settled = not paused and not started
            stalled = stalled_seconds(session, STUCK_AFTER) if settled else 0.0
            reported = problems(session, settings.worker_dead_after)
    except SQLAlchemyError:
        return Check("work", False, "unknown: the database does not answer")
    if future:
        detail = f"the clock of the database went back: {_count(future, 'job')} due in the future though never tried"
        return Check("work", False, detail, "start a relay (`dramatiq actors` or `aura run`), which corrects them")
    detail = f"{_count(workers, 'worker')}, {_count(relays, 'relay')}, oldest available job: {oldest:.0f} s"
    if (oldest > STUCK_AFTER and not relays) or (stalled and not workers):
        return Check("work", False, detail, "start `dramatiq actors` or `aura run`")
    if reported:
        return Check(
            "work", False, f"{detail}; {'; '.join(reported)}", "see the check rabbitmq of the worker's machine"
        )
    if stalled:
        detail += f"; no job was processed for {STUCK_AFTER} s, and the oldest one waits for {stalled:.0f} s"
        return Check("work", False, detail, "see the logs of the workers, and `aura doctor` on their machine")
    return Check("work", True, detail)


def check_scheduler() -> Check:
    """Check that a scheduler leads, and name the alerts that fire."""
    try:
        with reading() as session:
            leads = leader_election.is_held(session, LEASE)
            running = any(count_live(session, kind, get_settings().worker_dead_after) for kind in ("worker", "relay"))
            found = alerts.firing(session)
    except SQLAlchemyError:
        return Check("scheduler", False, "unknown: the database does not answer")
    fired = "".join(f"; {each.name} since {each.fired_at:%Y-%m-%d %H:%M} UTC: {each.detail}" for each in found)
    if not leads:
        return Check("scheduler", not running, f"no scheduler leads{fired}", "start `aura scheduler`, or `aura run`")
    return Check("scheduler", not found, f"leads{fired}", "see docs/how-to/runbook.md" if found else "")


def check_in_doubt() -> Check:
    """Count the notifications in doubt, which wait for a person."""
    try:
        with reading() as session:
            count = notifications.in_doubt_count(session)
    except SQLAlchemyError:
        return Check("in doubt", True, "unknown: the database does not answer")
    if not count:
        return Check("in doubt", True, "no notification in doubt")
    fix = "`aura notifications list --state in_doubt`, then `resend` or `settle` each"
    return Check(
        "in doubt", True, f"{_count(count, 'notification')} in doubt: sent or not, the channel did not say", fix
    )


def check_secrets() -> Check:
    """Find secrets in the database that are plain text, or that no key decrypts."""
    try:
        with reading() as session:
            plain, unreadable = secret_columns.count_plain(session), secret_columns.count_unreadable(session)
    except SQLAlchemyError:
        return Check("secrets", False, "unknown: the database does not answer")
    except WrongPoolerMode:
        raise  # the check of the database names the setting
    except AuraError as error:
        return Check("secrets", False, str(error), "correct AURA_ENCRYPTION_KEYS, or restore the key file")
    if unreadable:
        detail = f"no key decrypts {_counted(unreadable)}"
        return Check("secrets", False, detail, "add the key that encrypted them to AURA_ENCRYPTION_KEYS")
    if plain:
        generate = "" if encryption.available() else "set AURA_ENCRYPTION_KEYS (`aura secrets generate-key`), then "
        return Check("secrets", False, f"plain text: {_counted(plain)}", f"{generate}run `aura secrets rotate`")
    return Check(
        "secrets", True, "encrypted" if encryption.available() else "none stored; AURA_ENCRYPTION_KEYS is not set"
    )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{column} ({number})" for column, number in counts.items())


def check_imap() -> Check:
    url = get_settings().imap_url
    if url is None:
        return Check("imap", True, "AURA_IMAP_URL is not set: no mailbox is read")
    from aura.mail.imap import Mailbox, MailServerUnavailable

    try:
        with Mailbox(url.get_secret_value()) as mailbox:
            return Check("imap", True, mailbox.name)
    except (MailServerUnavailable, SettingsError) as error:
        where = redact(url.get_secret_value())
        return Check("imap", False, f"{where}: {error}", "start the mail server, or correct AURA_IMAP_URL")


def check_mail_senders() -> Check:
    """Say whether the senders of inbound mails are verified, and what happens to those that are not."""
    settings = get_settings()
    if settings.trusted_authserv:
        names = ", ".join(settings.trusted_authserv)
        what = "marked" if settings.mail_dmarc_failed == "mark" else "refused"
        return Check("mail senders", True, f"verified by {names}; mails of other senders are {what}")
    if settings.imap_url is None and settings.mail_webhook_secret is None:
        return Check("mail senders", True, "not verified: AURA_TRUSTED_AUTHSERV is not set")
    fix = "set AURA_TRUSTED_AUTHSERV to the name with which your mail server writes Authentication-Results"
    return Check("mail senders", True, "not verified: anybody can write in the name of another person", fix)


def check_attachments() -> Check:
    """Write, read and delete a content where attachments are stored."""
    settings = get_settings()
    kind = settings.attachments
    if settings.classify_attachments and not find_spec("pypdf"):
        fix = "pip install 'aura-desk[pdf]', or unset AURA_CLASSIFY_ATTACHMENTS"
        return Check("attachments", False, "AURA_CLASSIFY_ATTACHMENTS reads PDFs with pypdf, which is missing", fix)
    if kind == "database":
        return Check("attachments", True, "in the database")
    where = settings.attachments_folder if kind == "folder" else settings.attachments_s3_url
    variable = "AURA_ATTACHMENTS_FOLDER" if kind == "folder" else "AURA_ATTACHMENTS_S3_URL"
    try:
        probe(make_storage(kind))
    except AuraError as error:
        return Check(
            "attachments", False, str(error), f"correct {variable}; until then the database has new attachments"
        )
    shown = redact(where.get_secret_value()) if isinstance(where, SecretStr) else where
    return Check("attachments", True, f"{kind}: {shown}")


def check_oauth() -> list[Check]:
    """Obtain a token for each mailbox that uses OAuth, and name its grant and its expiry."""
    settings = get_settings()
    used = {
        (provider, unquote(urlsplit(url.get_secret_value()).username or ""))
        for url, provider in ((settings.imap_url, settings.imap_oauth), (settings.smtp_url, settings.smtp_oauth))
        if url is not None and provider is not None
    }
    return [_check_token(provider, mailbox, settings) for provider, mailbox in sorted(used)]


def _check_token(provider: OAuthProvider, mailbox: str, settings: Settings) -> Check:
    where = f"{mailbox} at {provider}"
    try:
        source = token_source(provider, mailbox, settings)
        token = source.token()
        since = ""
        if source.grant.name == LOGIN:
            login = Logins(provider, mailbox.lower(), settings).load()
            since = f" of {login.logged_in_at:%Y-%m-%d}, renewed {login.renewed_at:%Y-%m-%d %H:%M} UTC"
    except LoginRequired as error:
        return Check("oauth", False, f"{where}: {error}", "run `aura mail login`")
    except (TokenServerUnavailable, SettingsError) as error:
        return Check("oauth", False, f"{where}: {error}", "correct the AURA_OAUTH settings, or wait for the provider")
    except SQLAlchemyError:
        return Check("oauth", False, f"{where}: unknown: the database does not answer")
    minutes = token.seconds_left / 60
    return Check("oauth", True, f"{where}: token valid for {minutes:.0f} minutes, by {source.grant.name}{since}")


CHECKS: tuple[Callable[[], Check], ...] = (
    check_settings,
    check_database,
    check_failover,
    check_rabbitmq,
    check_redis,
    check_openai,
    check_work,
    check_scheduler,
    check_in_doubt,
    check_secrets,
    check_imap,
    check_mail_senders,
    check_attachments,
)


def checks() -> list[Check]:
    """Run all checks; invalid settings are the only result, since all others need them."""
    first = check_settings()
    if not first.ok:
        return [first]
    found = [_run(check) for check in CHECKS[1:]]
    try:
        return [first, *found, *check_oauth()]
    except ConfigurationError:  # a pooler in the wrong mode, which the check of the database names
        return [first, *found]


def _run(check: Callable[[], Check]) -> Check:
    try:
        return check()
    except ConfigurationError:
        return Check(check.__name__.removeprefix("check_").replace("_", " "), False, "unknown: see the first failure")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


@router.get("/health/live", summary="Liveness")
def live() -> dict[str, str]:
    """Answer 200 while the process can answer at all."""
    return {"status": "alive"}


@router.get("/health/ready", summary="Readiness")
def ready() -> JSONResponse:
    """Answer 200 when tickets can be stored, which needs the database alone: it answers and accepts writes.

    With `"processing": "failed"`, tickets are stored and wait: no process works them off, or RabbitMQ does not let them.
    `aura doctor` has the details.
    """
    database = check_database()
    if database.ok:
        processing = {} if check_work().ok else {"processing": "failed"}
        return JSONResponse({"status": "ready", "database": "ok"} | processing)
    body = {"status": "not ready", "database": "failed", "code": database.code}
    return JSONResponse(body, 503, {"Retry-After": str(DATABASE_RETRY_AFTER)})


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
def metrics(_who: Reader) -> Response:
    """Return the counters of this process, or of all on this machine with PROMETHEUS_MULTIPROC_DIR, and the gauges."""
    registry = CollectorRegistry()
    registry.register(DatabaseMetrics())
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)
        counters = b""
    else:
        counters = prometheus_client.generate_latest()
    return Response(
        counters + prometheus_client.generate_latest(registry), media_type=prometheus_client.CONTENT_TYPE_LATEST
    )
