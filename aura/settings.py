"""The settings: every environment variable of Aura, typed, documented and read once.

``get_settings()`` returns the ``Settings`` of the process. An invalid value raises ``SettingsError``, which names the
variable and the fix and never contains the value, which may be a secret. ``python -m aura.settings`` prints the reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from email.utils import parseaddr
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import DotEnvSettingsSource, EnvSettingsSource

from aura import amqp_urls, database_url, service_passwords
from aura.error_text import database_text
from aura.errors import ConfigurationError

PRIORITIES = ("low", "medium", "high", "critical")
ROLES = ("viewer", "operator", "admin")
STATUSES = ("open", "in_progress", "pending", "resolved", "closed")
#: Outbound channels; an in_app notification needs no delivery, its row is the message.
CHANNELS = ("email", "slack", "teams", "webhook", "apprise")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY, _TIME = f"(?:{'|'.join(WEEKDAYS)})", r"(?:[01]\d|2[0-3]):[0-5]\d"
_DAYS = rf"{_DAY}(?:-{_DAY})?"
OAuthProvider = Literal["microsoft", "google", "custom"]
BUSINESS_HOURS = rf"({_DAYS}(?:,{_DAYS})*) ({_TIME})-({_TIME}|24:00)"


class SettingsError(ConfigurationError):
    """A setting is missing or invalid; the message names the variable and the fix."""


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _pairs(value: object, number: Callable[[str], float]) -> object:
    """Parse `name=number,name=number`; off is empty."""
    if not isinstance(value, str):
        return value
    parts = [part.partition("=") for part in value.split(",") if part.strip() and value.strip() != "off"]
    return tuple((name.strip(), number(text.strip())) for name, _, text in parts)


def _rates(value: object) -> object:
    return _pairs(value, _number)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a rate is a number of messages per second, such as 1 or 0.5") from None


#: Seconds of each unit of a duration.
UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0}


def _durations(value: object) -> object:
    return _pairs(value, _duration)


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd])", text)
    if match is None:
        raise ValueError("a duration is a number with m, h or d, such as 90m, 4h or 2d")
    return float(match[1]) * UNITS[match[2]]


def _split_url(url: str) -> SplitResult:
    """Return the parts of a URL with a valid port. Raises ValueError without any part of the URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
        # an @ after the host: the password contains an unencoded / or #, and would be shown as a path
        misread = "@" in parts.path + parts.query + parts.fragment
    except ValueError:
        misread = True
    if misread:
        # outside `except`: the original error contains a part of the URL, which may be the password
        raise ValueError("is not a URL: percent-encode special characters of user and password (/ is %2F, # is %23)")
    return parts


def problems_of(error: ValidationError) -> list[tuple[str, str]]:
    """Return the errors as (field, message), without the values, which may be long, hostile or secret."""
    each = error.errors(include_input=False, include_url=False, include_context=False)
    return [(".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in each]


def explain(error: ValidationError) -> str:
    """Return the errors in one line."""
    return "; ".join(f"{field}: {problem}" if field else problem for field, problem in problems_of(error))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type; of an error of a database, without its values."""
    text = str(error) if (found := database_text(error)) is None else found
    return (text.strip().splitlines() or [type(error).__name__])[0]


def redact(url: str) -> str:
    """Return the URL without password and query, for logs."""
    if url.startswith("sqlite"):
        return url.partition("?")[0]
    if url.startswith("postgres"):
        return database_url.parse(url, database_url.READABLE).shown()
    if url.startswith("amqp"):
        return amqp_urls.redact_urls(url)
    parts = _split_url(url)
    user = f"{parts.username}:***@" if parts.password else (f"{parts.username}@" if parts.username else "")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, f"{user}{host}{port}", parts.path, "", ""))


MIN_SECRET = 16
#: Characters of the shortest key that encrypts a stored login.
MIN_STORE_KEY = 32
#: Characters of the shortest encryption key, and its different ones: hexadecimal digits have 16.
MIN_ENCRYPTION_KEY, MIN_DIFFERENT = 32, 8


class _Variables(PydanticBaseSettingsSource):
    """The variables that a source of pydantic-settings has read, by name.

    Its own lookup inspects the type of every field for nested models, which takes most of the start of a command; no
    setting is nested.
    """

    def __init__(self, source: EnvSettingsSource) -> None:
        super().__init__(source.settings_cls)
        self._values = source.env_vars

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        for name in _names(field_name, field):
            if (value := self._values.get(name.lower())) is not None:
                return value, name if field.validation_alias else field_name, False
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = (self.get_field_value(field, name) for name, field in self.settings_cls.model_fields.items())
        return {key: value for value, key, _ in found if value is not None}


class Settings(BaseSettings):
    """The settings of a process; frozen, secrets are ``SecretStr``."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_prefix="AURA_",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        env_ignore_empty=True,
        defer_build=True,  # the first use builds the validator; importing the module does not
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(env_settings, EnvSettingsSource)
        assert isinstance(dotenv_settings, DotEnvSettingsSource)
        return init_settings, _Variables(env_settings), _Variables(dotenv_settings)

    # Process
    env: Literal["development", "production"] = Field(
        "production",
        description="development allows embedded mode and default passwords; `aura` commands without any service use it.",
    )
    dyno: str = Field("", validation_alias="DYNO", description="Set by Heroku; implies AURA_ENV=production.")
    port: int = Field(8000, validation_alias="PORT", ge=1, le=65535, description="Port of the web process.")
    host: str = Field(
        "127.0.0.1", validation_alias="HOST", description="Address that `aura web` and `aura run` listen on."
    )
    base_url: str = Field("http://127.0.0.1:8000", description="Public URL of the web process, for links in messages.")
    require_totp: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="Roles whose users must have a second factor (viewer, operator, admin), comma-separated."
    )
    web_concurrency: int = Field(1, validation_alias="WEB_CONCURRENCY", ge=1, description="Number of web processes.")
    web_connections: int = Field(
        2000, ge=10, description="Maximum number of open connections per web process; the idle ones are closed first."
    )
    forwarded_allow_ips: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        validation_alias="FORWARDED_ALLOW_IPS",
        description="Addresses or networks of your proxies, whose X-Forwarded-For and -Proto are trusted; * is any.",
    )
    worker_processes: int = Field(
        2, validation_alias="WORKER_PROCESSES", ge=1, description="Processes of the worker command; `aura run` is one."
    )
    worker_threads: int = Field(
        8, validation_alias="WORKER_THREADS", ge=1, description="Threads of each worker process, and of `aura run`."
    )

    # Logs, metrics and traces
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias="LOG_LEVEL", description="Lowest level that is logged."
    )
    log_format: Literal["pretty", "json"] = Field(
        "pretty", validation_alias="LOG_FORMAT", description="json writes one object per line, for log collectors."
    )
    access_log: bool = Field(
        False, description="Log each request: method, route, status, duration and address of the client."
    )
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the worker command's Prometheus metrics; unset: no metrics there."
    )
    traces: Literal["off", "otlp", "console"] = Field(
        "off", description="Exporter of spans: otlp (to OTEL_EXPORTER_OTLP_ENDPOINT), console (JSON lines), or off."
    )
    sentry_dsn: SecretStr | None = Field(
        None,
        validation_alias="SENTRY_DSN",
        description="DSN of Sentry or a compatible server, https://KEY@HOST/PROJECT; unset: errors are only logged.",
    )

    # Services
    database_url: SecretStr = Field(
        SecretStr("sqlite:///aura.db"),
        validation_alias="DATABASE_URL",
        description="postgresql://user:password@host/name, with several hosts separated by commas, or sqlite:///file for "
        "embedded mode.",
    )
    database_read_url: SecretStr | None = Field(
        None,
        description="URL of a read replica of DATABASE_URL, for searches, lists, exports and reports; unset: none.",
    )
    database_read_max_age: float = Field(
        60.0, gt=0, description="Seconds by which the replica may be behind; beyond them DATABASE_URL is read."
    )
    database_pool: int = Field(10, ge=1, description="Maximum number of database connections per process.")
    search_seconds: float = Field(
        10.0, gt=0, le=600, description="Seconds until a search, a list or a part of an export is cancelled."
    )
    database_prepare: bool = Field(
        True, description="Use prepared statements; false behind PgBouncer in transaction mode."
    )
    encryption_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        description="Keys that encrypt secrets in the database, comma-separated: the first encrypts, all decrypt; "
        "`aura secrets generate-key` prints one. Unset: SQLite has a key file.",
    )
    rabbitmq_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("RABBITMQ_URL", "CLOUDAMQP_URL"),
        description="amqp://user:password@host:5672/vhost (amqps:// for TLS), host1,host2 for a cluster; unset: embedded mode.",
    )
    rabbitmq_host: str = Field(
        "",
        validation_alias="RABBITMQ_HOST",
        description="Host of RabbitMQ, or several, comma-separated, with RABBITMQ_USER instead of RABBITMQ_URL.",
    )
    rabbitmq_user: str = Field("", validation_alias="RABBITMQ_USER", description="User, instead of RABBITMQ_URL.")
    rabbitmq_password: SecretStr = Field(
        SecretStr(""), validation_alias="RABBITMQ_PASSWORD", description="Password of RABBITMQ_USER."
    )
    rabbitmq_port: int = Field(
        5672, validation_alias="RABBITMQ_PORT", ge=1, le=65535, description="AMQP port of RABBITMQ_HOST."
    )
    rabbitmq_vhost: str = Field(
        "/", validation_alias="RABBITMQ_VHOST", description="Virtual host on RABBITMQ_HOST, as it is, without encoding."
    )
    rabbitmq_management_port: int = Field(
        15672, validation_alias="RABBITMQ_MANAGEMENT_PORT", ge=1, le=65535, description="Port of RabbitMQ's web pages."
    )
    quorum_queues: bool = Field(False, description="Declare quorum queues, for a RabbitMQ cluster.")
    redis_url: SecretStr | None = Field(
        None,
        validation_alias="REDIS_URL",
        description="redis://:password@host:6379/0, which shares budget, cache and circuit breaker; unset: PostgreSQL.",
    )
    smtp_url: SecretStr | None = Field(
        None,
        validation_alias="SMTP_URL",
        description="smtp://user:password@host:587 (STARTTLS if offered) or smtps://host:465; unset: e-mails are logged.",
    )

    # Classification
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias="OPENAI_API_KEY",
        description="Key of the remote engine; unset: the local engine classifies every ticket.",
    )
    ai_remote: bool = Field(
        False,
        description="The workers have OPENAI_API_KEY: for web and scheduler, which work without the key itself.",
    )
    openai_base_url: str | None = Field(
        None, validation_alias="OPENAI_BASE_URL", description="URL of a compatible server; unset: api.openai.com."
    )
    ai_model: str = Field("gpt-6-luna", validation_alias="AI_MODEL", description="Model of the provider.")
    ai_temperature: float = Field(
        0.0, validation_alias="AI_TEMPERATURE", ge=0, le=2, description="Sampling temperature."
    )
    ai_max_tokens: int = Field(
        500, validation_alias="AI_MAX_TOKENS", ge=50, description="Maximum length of an answer, in tokens."
    )
    ai_timeout: float = Field(
        20.0, validation_alias="AI_TIMEOUT", gt=0, description="Seconds until a call of the provider is aborted."
    )
    categories: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        ("Hardware", "Software", "Network", "Email", "Access", "Security", "Other"),
        min_length=1,
        description="Categories, comma-separated; the shipped local model knows the default ones.",
    )
    review_below: float = Field(0.5, ge=0, le=1, description="A verdict of lower confidence is always reviewed.")
    auto_apply_precision: float = Field(
        0.95, gt=0, lt=1, description="Wanted precision of the verdicts that are applied without review."
    )
    default_language: Literal["en", "de", "fr", "es", "it", "pt", "nl", "pl"] = Field(
        "en",
        description="Language of notifications about tickets in a language without templates; agents and teams get en or de.",
    )
    ai_mask: Literal["on", "off"] = Field(
        "on", description="Mask personal data and secrets in texts for the AI provider and in notifications."
    )
    ai_mask_names: Literal["on", "off"] = Field(
        "off",
        description="Mask names and postal addresses as well in texts for the AI provider; needs AURA_AI_MASK=on.",
    )
    ai_budget_day: float = Field(
        10.0, ge=0, description="Budget of the remote engine per day, in US dollars, for all workers; 0: no calls."
    )
    ai_budget_ticket: float = Field(
        0.05, ge=0, description="Budget of the remote engine per ticket, in US dollars, retries included."
    )
    ai_concurrency: int = Field(
        200,
        ge=0,
        le=10_000,
        description="Calls of the remote engine that each worker process has in flight at most; 0: one in each thread.",
    )
    ai_requests_per_minute: int = Field(
        0, ge=0, description="Requests that the provider allows a minute, for all workers together; 0: not limited."
    )
    ai_tokens_per_minute: int = Field(
        0, ge=0, description="Tokens that the provider allows a minute, for all workers together; 0: not limited."
    )
    ai_cache_seconds: int = Field(
        3600, ge=0, description="Seconds that the answer to a ticket is reused for equal ones."
    )
    ai_batch_above: int = Field(
        200, ge=0, description="Number of stale tickets above which the provider's Batch API is used; 0: never."
    )
    reanalyze_after_days: float = Field(
        3.0, gt=0, description="Age of a verdict, in days, from which an open ticket is analyzed again."
    )

    # Incidents
    incident_tickets: int = Field(5, ge=2, description="Similar tickets from which on an incident is proposed.")
    incident_minutes: float = Field(15.0, gt=0, description="Minutes within which these tickets arrive.")

    # SLA
    sla: Annotated[tuple[tuple[str, float], ...], NoDecode, BeforeValidator(_durations)] = Field(
        (("critical", 4 * 3600.0), ("high", 8 * 3600.0), ("medium", 24 * 3600.0), ("low", 40 * 3600.0)),
        description="Resolution target of each priority in business time, such as critical=90m,high=8h; off: none.",
    )
    sla_warn_at: float = Field(
        0.75, gt=0, lt=1, description="Share of the resolution target after which the assignee is warned."
    )
    business_hours: str = Field("Mon-Fri 08:00-18:00", description="Business hours in AURA_TIMEZONE, or always.")
    holidays: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="Days without business hours, such as 2026-12-25,2026-12-26."
    )

    # Alerts
    alert_emails: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="Addresses of the operators, to which the scheduler sends its alerts, comma-separated."
    )
    alert_webhook_url: SecretStr | None = Field(
        None, description="URL to which the scheduler posts its alerts as JSON; unset: none."
    )

    # Notifications
    mail_from: str = Field("Aura <aura@localhost>", validation_alias="MAIL_FROM", description="Sender of e-mails.")
    service_desk: str = Field(
        "service-desk@localhost", description="E-mail address that is notified of tickets without an agent."
    )
    message_recipients: Literal["any", "known"] = Field(
        "any",
        description="Recipients of mail that other programs request over RabbitMQ: any address, or agents and requesters.",
    )
    notify_cc: bool = Field(
        True,
        description="Send public replies of agents to the people in Cc of the requester's mails, up to 20 a ticket.",
    )
    digest_above: int = Field(
        30,
        ge=0,
        description="Messages to a recipient per minute above which the rest becomes one digest; 0: no limit.",
    )
    at_most_once_channels: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        description="Channels on which a delivery in doubt is not repeated, such as slack,teams; a person decides.",
    )
    channel_rates: Annotated[tuple[tuple[str, float], ...], NoDecode, BeforeValidator(_rates)] = Field(
        (("slack", 1.0), ("teams", 1.0)),
        description="Maximum number of messages per second of a channel, for all workers, such as slack=1,email=20.",
    )
    webhook_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="Hosts of the own network (name:port) that webhooks may use, also without TLS."
    )

    # Inbound mail
    imap_url: SecretStr | None = Field(
        None, description="Mailbox of `aura mail fetch`, imaps://user:password@host/INBOX."
    )
    mail_webhook_secret: SecretStr | None = Field(
        None,
        description="Key (whsec_...) that signs mails posted to /api/v1/mail, or two, comma-separated; unset: refused.",
    )
    mail_limit: int = Field(
        25_000_000, ge=10_000, description="Maximum size of an inbound mail, in bytes; a larger one is refused."
    )
    mail_sender_limit: int = Field(
        60, ge=0, description="Mails of a sender per hour above which the rest becomes no ticket; 0: no limit."
    )
    mail_forms: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="Addresses of your web forms, comma-separated, whose Reply-To is the requester."
    )
    mail_trusted_lists: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="List-Ids or addresses of mailing lists whose mail is ordinary, such as the group of the desk."
    )
    mail_partners: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        description="Addresses or domains of systems whose automatic mail becomes tickets, such as servicenow.example.",
    )
    trusted_authserv: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        description="Names (authserv-id) with which your mail server writes Authentication-Results, such as mx.example.com; "
        "unset: no sender is verified.",
    )
    mail_dmarc_failed: Literal["mark", "refuse"] = Field(
        "mark", description="Mail whose sender is not verified becomes a marked ticket, or is refused."
    )
    mail_reply_token: Literal["required", "optional"] = Field(
        "required",
        description="Whether a mail needs the reply token to become a comment; optional: the address of its sender suffices.",
    )
    mail_plus_addresses: bool = Field(
        False,
        description="Mails about a ticket ask for replies to the address of MAIL_FROM with +TOKEN; the mailbox must accept it.",
    )
    reopen_days: float = Field(
        14.0, ge=0, description="Days in which a reply reopens a resolved ticket; later it creates a new ticket."
    )

    # Attachments
    attachments: Literal["database", "folder", "s3"] = Field(
        "database", description="Storage of the contents of attachments."
    )
    attachments_folder: Path | None = Field(
        None, description="Folder of AURA_ATTACHMENTS=folder, an absolute path that web and workers share."
    )
    attachments_s3_url: SecretStr | None = Field(
        None,
        description="Bucket of AURA_ATTACHMENTS=s3, https://KEY:SECRET@HOST/BUCKET/PREFIX?region=REGION; without KEY and "
        "SECRET: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )
    attachment_limit: int = Field(
        25_000_000, ge=1, description="Maximum size of an attachment, in bytes; a larger one is listed and not stored."
    )
    attachments_per_mail: int = Field(
        50, ge=0, le=1000, description="Attachments of a mail that are stored; the others are listed. 0: none."
    )
    classify_attachments: bool = Field(
        False, description="Classify a ticket with the beginning of its text, log and PDF attachments."
    )

    # OAuth
    imap_oauth: OAuthProvider | None = Field(
        None,
        description="Log in to AURA_IMAP_URL, then imaps://user@host/INBOX, with OAuth tokens of microsoft, google or custom.",
    )
    smtp_oauth: OAuthProvider | None = Field(
        None,
        description="Log in to SMTP_URL, then smtp://user@host:587, with OAuth tokens of microsoft, google or custom.",
    )
    oauth_tenant: str = Field(
        "", description="Directory (tenant) ID of Microsoft Entra; unset: organizations, for `aura mail login` only."
    )
    oauth_client_id: str = Field("", description="Application (client) ID at the provider.")
    oauth_client_secret: SecretStr | None = Field(
        None, description="Client secret; with microsoft and custom it alone obtains tokens (client credentials)."
    )
    oauth_service_account: SecretStr | None = Field(
        None, description="Key of a Google service account with domain-wide delegation: the JSON text, or its file."
    )
    oauth_refresh_token: SecretStr | None = Field(
        None, description="Refresh token that was obtained elsewhere; unset: the one that `aura mail login` stores."
    )
    oauth_store_key: SecretStr | None = Field(
        None,
        description="Key of earlier versions, of at least 32 characters, which encrypts the login of `aura mail login` in "
        "addition to AURA_ENCRYPTION_KEYS; not needed.",
    )
    oauth_scope: str = Field("", description="Scopes, separated by spaces; unset: the provider's scopes for mail.")
    oauth_token_url: str = Field("", description="Token endpoint of a custom provider.")
    oauth_device_url: str = Field(
        "", description="Device authorization endpoint of a custom provider, for `aura mail login`."
    )
    oauth_authority: str = Field(
        "https://login.microsoftonline.com", description="Sign-in address of Microsoft; national clouds have their own."
    )

    # Jobs
    jobs_per_hint: int = Field(100, ge=1, le=1000, description="Maximum number of jobs in one hint.")
    max_in_flight: int = Field(
        500,
        ge=1,
        description="Maximum number of jobs per actor with a hint in RabbitMQ; 200 if they are asynchronous or one at a time.",
    )
    max_attempts: int = Field(8, ge=1, description="Attempts after which a job becomes a dead letter.")
    replay_limit: int = Field(3, ge=0, description="Replays of a job after which a further one needs --force.")
    worker_dead_after: float = Field(
        10.0, ge=6, description="Seconds without a heartbeat after which a worker is dead and its jobs are freed."
    )
    events: bool = Field(True, description="Publish the events of tickets on RabbitMQ.")

    # Scheduled jobs and retention
    timezone: str = Field("UTC", description="Time zone of the schedule and the business hours, such as Europe/Berlin.")
    schedules: Path | None = Field(
        None,
        description="YAML file with other times for scheduled jobs: JOB: {when: CRONTAB, zone: ZONE}, or JOB: off.",
    )
    job_retention_days: float = Field(
        30.0, gt=0, description="Days that attempts, schedule runs and the texts sent to the AI provider are stored."
    )
    notification_retention_days: float = Field(90.0, gt=0, description="Days that sent notifications are stored.")
    verdict_text_retention_days: float = Field(
        365.0, gt=0, description="Days that the texts of verdicts (reason, summary, similar tickets) are stored."
    )
    mail_retention_days: float = Field(90.0, gt=0, description="Days that the source of inbound mails is stored.")
    refusal_retention_days: float = Field(
        90.0, gt=0, description="Days that refused logins, keys and requests are in the audit log."
    )
    attachment_retention_days: float = Field(365.0, gt=0, description="Days that attachments are stored.")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("channel_rates", "sla")
    @classmethod
    def _positive(cls, value: tuple[tuple[str, float], ...], info: Any) -> tuple[tuple[str, float], ...]:
        known = PRIORITIES if info.field_name == "sla" else CHANNELS
        for name, number in value:
            if name not in known or not 0 < number < float("inf"):
                raise ValueError(f"must be NAME=NUMBER with numbers above 0 and names of {', '.join(known)}, or off")
        return value

    @field_validator("at_most_once_channels")
    @classmethod
    def _channels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if set(value) - set(CHANNELS):
            raise ValueError(f"must be some of {', '.join(CHANNELS)}")
        return value

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        import ipaddress

        for each in value:
            try:
                _ = each == "*" or ipaddress.ip_network(each)
            except ValueError:
                raise ValueError("must be addresses or networks, comma-separated, such as 10.0.0.0/8, or *") from None
        if "*" in value and len(value) > 1:
            raise ValueError("must be * alone, or addresses and networks")
        return value

    @field_validator("require_totp")
    @classmethod
    def _roles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if set(value) - set(ROLES):
            raise ValueError(f"must be some of {', '.join(ROLES)}")
        return value

    @field_validator("webhook_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not re.fullmatch(r"(?:[a-z0-9.-]+|\[[0-9a-f:.]+\]):[0-9]{1,5}", host):
                raise ValueError("must be hosts in lower case with their ports, such as hooks.intranet:8080")
        return value

    @field_validator("holidays")
    @classmethod
    def _days(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for day in value:
            try:
                date.fromisoformat(day)
            except ValueError:
                raise ValueError("must be days such as 2026-12-25") from None
        return value

    @field_validator("business_hours")
    @classmethod
    def _hours(cls, value: str) -> str:
        match = re.fullmatch(BUSINESS_HOURS, value)
        if value != "always" and (match is None or match[2] >= match[3]):
            raise ValueError(
                "must have the form Mon-Fri 08:00-18:00 or Mon,Wed 09:00-12:30, or be always; the end is later"
            )
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str) -> str:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", parseaddr(value)[1]):
            raise ValueError("must be one address, such as Aura <aura@example.com>")
        return value

    @field_validator("alert_webhook_url")
    @classmethod
    def _alert_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = _split_url(value.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("must be https://HOST/PATH")
        return value

    @field_validator("mail_forms", "alert_emails")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", each) for each in value):
            raise ValueError("must be addresses, comma-separated, such as noreply@www.example.com")
        return tuple(each.lower() for each in value)

    @field_validator("trusted_authserv")
    @classmethod
    def _authserv_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"[\w.-]{1,253}", each) for each in value):
            raise ValueError(
                "must be names as Authentication-Results begins with, comma-separated, such as mx.example.com"
            )
        return tuple(each.lower() for each in value)

    @field_validator("mail_trusted_lists", "mail_partners")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(each.strip("<>").lower() for each in value)
        if not all(re.fullmatch(r"[^\s<>,]+\.[^\s<>,]+|[^@\s<>,]+@[^@\s<>,]+", each) for each in names):
            raise ValueError("must be addresses, domains or List-Ids, comma-separated, such as desk.lists.example.com")
        return names

    @field_validator("base_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        # a link in a mail cannot be corrected later, and a mail header contains it
        if not re.fullmatch(r"[!#-;=?-\[\]-z|~]+", value):
            raise ValueError("must be a URL in ASCII without blanks: a domain as xn--..., a path with percent signs")
        parts = _split_url(value)
        if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
            raise ValueError("must be https://HOST or https://HOST/PATH, without user, query and fragment")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        scheme, separator, rest = url.partition("://")
        # SQLAlchemy 2.1 reads postgresql:// as psycopg 3, and does not read Heroku's postgres://
        if scheme in ("postgres", "postgresql", "postgresql+psycopg2") and separator:
            database_url.parse(url)
            return SecretStr(f"postgresql+psycopg2://{rest}")
        if scheme == "sqlite" and separator:
            path = rest.partition("?")[0]
            if path in ("", "/", "/:memory:") or ":memory:" in path or "mode=memory" in rest:
                raise ValueError(
                    "must name a file, as in sqlite:///aura.db: a database in memory is lost at each connection"
                )
            if not path.startswith("/"):
                raise ValueError("needs three slashes before the name of the file: sqlite:///aura.db")
            return value
        raise ValueError("must be postgresql://user:password@host/name or sqlite:///file")

    @field_validator("database_read_url")
    @classmethod
    def _replica(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        scheme, _, rest = value.get_secret_value().partition("://")
        if scheme not in ("postgres", "postgresql", "postgresql+psycopg2"):
            raise ValueError("must be postgresql://user:password@host/name")
        database_url.parse(value.get_secret_value(), database_url.READABLE)
        return SecretStr(f"postgresql+psycopg2://{rest}")

    @field_validator("rabbitmq_url")
    @classmethod
    def _amqp_hosts(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            amqp_urls.split_urls(value.get_secret_value())
        return value

    @field_validator("redis_url", "smtp_url", "imap_url")
    @classmethod
    def _scheme(cls, value: SecretStr | None, info: Any) -> SecretStr | None:
        allowed = {
            "redis_url": ("redis", "rediss", "unix"),
            "smtp_url": ("smtp", "smtps"),
            "imap_url": ("imap", "imaps"),
        }
        if value is not None:
            parts = _split_url(value.get_secret_value())
            if parts.scheme not in allowed[info.field_name] or not (parts.hostname or parts.scheme == "unix"):
                raise ValueError("must start with " + " or ".join(f"{name}://" for name in allowed[info.field_name]))
        return value

    @field_validator("attachments_folder")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError("must be an absolute path, such as /var/lib/aura/attachments")
        return value

    @field_validator("attachments_s3_url")
    @classmethod
    def _bucket(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = _split_url(value.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path.strip("/"):
                raise ValueError("must have the form https://HOST/BUCKET or https://KEY:SECRET@HOST/BUCKET/PREFIX")
            if bool(parts.username) != bool(parts.password):
                raise ValueError("must have both a key and a secret, or none")
        return value

    @field_validator("oauth_token_url", "oauth_device_url", "oauth_authority")
    @classmethod
    def _token_server(cls, value: str) -> str:
        if value:
            parts = _split_url(value)
            loopback = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
            if not parts.hostname or not (parts.scheme == "https" or loopback) or parts.username or parts.password:
                raise ValueError("must start with https:// (http:// only on this machine) and contain no user")
        return value.rstrip("/")

    @field_validator("oauth_store_key")
    @classmethod
    def _store_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_STORE_KEY:
            raise ValueError(f"must have {MIN_STORE_KEY} characters at least")
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _encryption_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in (each.get_secret_value() for each in value):
            if len(key) < MIN_ENCRYPTION_KEY or len(set(key)) < MIN_DIFFERENT:
                raise ValueError(
                    f"each key must have {MIN_ENCRYPTION_KEY} random characters at least: "
                    "`aura secrets generate-key` prints one"
                )
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("must be a zone name such as UTC or Europe/Berlin") from None
        return value

    @model_validator(mode="before")
    @classmethod
    def _command_without_services(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Use development for a command of the shell when neither AURA_ENV nor any service is set."""
        services = ("DYNO", "RABBITMQ_URL", "CLOUDAMQP_URL", "RABBITMQ_USER", "RABBITMQ_HOST")
        database = str(values.get("DATABASE_URL") or "sqlite:")
        if (
            not (_in_shell or issubclass(cls, _Given))
            or "env" in values
            or not database.startswith("sqlite:")
            or any(map(values.get, services))
        ):
            return values
        return {**values, "env": "development"}

    @model_validator(mode="before")
    @classmethod
    def _assemble_rabbitmq(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Build RABBITMQ_URL from RABBITMQ_USER, _PASSWORD, _HOST, _PORT and _VHOST."""
        if values.get("RABBITMQ_USER") and not (values.get("RABBITMQ_URL") or values.get("CLOUDAMQP_URL")):
            user = quote(str(values["RABBITMQ_USER"]), safe="")
            password = quote(str(values.get("RABBITMQ_PASSWORD", "")), safe="")
            vhost = str(values.get("RABBITMQ_VHOST") or "/")
            url = amqp_urls.assemble(
                str(values.get("RABBITMQ_HOST") or "localhost"),
                values.get("RABBITMQ_PORT") or 5672,
                user,
                password,
                "" if vhost == "/" else quote(vhost, safe=""),
            )
            values = {**values, "RABBITMQ_URL": url}
        return values

    @model_validator(mode="after")
    def _place_of_attachments(self) -> Settings:
        if self.attachments == "folder" and self.attachments_folder is None:
            raise ValueError("AURA_ATTACHMENTS=folder needs AURA_ATTACHMENTS_FOLDER, an absolute path")
        if self.attachments == "s3" and self.attachments_s3_url is None:
            raise ValueError("AURA_ATTACHMENTS=s3 needs AURA_ATTACHMENTS_S3_URL, such as https://HOST/BUCKET")
        return self

    @model_validator(mode="after")
    def _replica_of_postgresql(self) -> Settings:
        if self.database_read_url is not None and self.sqlite:
            raise ValueError("AURA_DATABASE_READ_URL needs DATABASE_URL to be PostgreSQL, whose replica it names")
        return self

    @model_validator(mode="after")
    def _no_password_beside_oauth(self) -> Settings:
        for name, url, other, provider in (
            ("AURA_IMAP_URL", self.imap_url, "AURA_IMAP_OAUTH", self.imap_oauth),
            ("SMTP_URL", self.smtp_url, "AURA_SMTP_OAUTH", self.smtp_oauth),
        ):
            if url and provider:
                parts = _split_url(url.get_secret_value())
                if parts.password or not parts.username:
                    raise ValueError(
                        f"{name}: with {other}={provider} it must contain the mailbox and no password, "
                        f"such as {parts.scheme}://desk%40example.com@host"
                    )
        return self

    @model_validator(mode="after")
    def _no_embedded_production(self) -> Settings:
        if self.production:
            if (
                self.sqlite
            ):  # processes without RABBITMQ_URL are web, scheduler and commands; `dramatiq actors` refuses it
                raise ValueError(
                    "production needs DATABASE_URL: set it to the URL of PostgreSQL "
                    "(or set AURA_ENV=development for embedded mode; production is the default)"
                )
            if not self.encryption_keys:
                raise ValueError(
                    "production needs AURA_ENCRYPTION_KEYS, the same in every process: "
                    "`aura secrets generate-key` prints a key"
                )
            for parts in amqp_urls.split_urls(self.rabbitmq_url.get_secret_value()) if self.rabbitmq_url else ():
                if wrong := service_passwords.problem("RABBITMQ_URL", parts):
                    raise ValueError(f"production {wrong}")
            for name, url in (("DATABASE_URL", self.database_url), ("AURA_DATABASE_READ_URL", self.database_read_url)):
                if url and (wrong := service_passwords.database_problem(name, url.get_secret_value())):
                    raise ValueError(f"production {wrong}")
            for name, url in (
                ("REDIS_URL", self.redis_url),
                ("SMTP_URL", None if self.smtp_oauth else self.smtp_url),
                ("AURA_IMAP_URL", None if self.imap_oauth else self.imap_url),
            ):
                if url and (wrong := service_passwords.problem(name, _split_url(url.get_secret_value()))):
                    raise ValueError(f"production {wrong}")
            if self.mail_webhook_secret and len(self.mail_webhook_secret.get_secret_value()) < MIN_SECRET:
                raise ValueError(f"production needs an AURA_MAIL_WEBHOOK_SECRET of {MIN_SECRET} characters at least")
        return self

    @property
    def production(self) -> bool:
        return self.env == "production" or bool(self.dyno)

    @property
    def embedded(self) -> bool:
        """Whether the broker is part of this process, because RABBITMQ_URL is not set; never in production."""
        return self.rabbitmq_url is None and not self.production

    @property
    def remote_engine(self) -> bool:
        """Whether the workers classify with the remote engine; this process may have no key."""
        return self.openai_api_key is not None or self.ai_remote

    @property
    def sqlite(self) -> bool:
        return self.database_url.get_secret_value().startswith("sqlite")

    def mode(self) -> str:
        """Return the mode with database, broker and engine, in one sentence."""
        store = redact(self.database_url.get_secret_value())
        engine = f"OpenAI {self.ai_model}" if self.remote_engine else "the local engine"
        if self.rabbitmq_url is None and self.production:
            return (
                f"Service mode without RABBITMQ_URL, which workers alone need: jobs in {store}, classified by {engine}."
            )
        if self.rabbitmq_url is None:
            return f"Embedded mode: jobs in {store}, broker inside this process, classified by {engine}."
        return f"Service mode: jobs in {store}, hints on {redact(self.rabbitmq_url.get_secret_value())}, classified by {engine}."


def variable(field: str) -> str:
    """Return the environment variable that sets a field of ``Settings``."""
    return _names(field, Settings.model_fields[field])[0]


def _names(name: str, field: FieldInfo) -> list[str]:
    """Return the environment variables of a field, the one that wins first."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias) if alias else f"AURA_{name.upper()}"]


_chosen: list[Settings] = []
#: Not empty in a command of the shell, which may use embedded mode without AURA_ENV=development.
_in_shell: list[bool] = []


class _Given(Settings):
    """Settings from arguments only, without the environment and .env."""

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # the other sources are unused
        cls, settings_cls: Any, init_settings: Any, **_others: Any
    ) -> tuple[Any, ...]:
        return (init_settings,)


def given(**values: Any) -> Settings:
    """Return settings with these values, by variable (by field for AURA_ variables), and defaults for the rest.

    Without any service they are for embedded mode in development, as those of a command of the shell.
    """
    return _Given(**values)


def use(settings: Settings) -> None:
    """Make these the settings of the process; call it before anything reads them."""
    _chosen[:] = [settings]
    get_settings.cache_clear()


def allow_embedded() -> None:
    """Let this process use embedded mode when neither AURA_ENV nor any service is set; commands of the shell call it."""
    _in_shell[:] = [True]
    get_settings.cache_clear()


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings of the process, read from the environment once. Raises SettingsError."""
    if _chosen:
        return _chosen[0]
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for name, message in problems_of(error):
            name = variable(name) if name in Settings.model_fields else name
            hint = next((f.description for n, f in Settings.model_fields.items() if variable(n) == name), None)
            lines.append(f"{name}: {message}" + (f" ({hint})" if hint else "") if name else message)
        # `from None`: the ValidationError contains the values, which may be secrets
        raise SettingsError("; ".join(lines)) from None


#: Title of each group of settings, by its first field.
GROUPS = {
    "env": "Process",
    "log_level": "Logs, metrics and traces",
    "database_url": "Services",
    "openai_api_key": "Classification",
    "incident_tickets": "Incidents",
    "sla": "SLA",
    "alert_emails": "Alerts",
    "mail_from": "Notifications",
    "imap_url": "Inbound mail",
    "attachments": "Attachments",
    "imap_oauth": "OAuth for mail servers",
    "jobs_per_hint": "Jobs",
    "timezone": "Scheduled jobs and retention",
}


def markdown() -> str:
    """Return the reference of all variables in Markdown: default and description, grouped by subject."""
    lines = [
        "# Settings",
        "",
        "For operators: every environment variable of Aura. This page is generated (`make reference`).",
    ]
    for name, field in Settings.model_fields.items():
        if name in GROUPS:
            lines += ["", f"## {GROUPS[name]}", "", "| variable | default | description |", "| --- | --- | --- |"]
        default = _default(field)
        lines.append(f"| `{variable(name)}` | {f'`{default}`' if default else ''} | {field.description} |")
    return "\n".join(lines) + "\n"


def env_file() -> str:
    """Return the text of .env.example: every variable with its description and its default, commented out."""
    lines = [
        "# Every environment variable of Aura. Copy this file to .env, and uncomment the variables that you change.",
        "# The values are the defaults; an empty value counts as not set. The environment overrides the file.",
        "# `python -m aura.settings env` writes this file.",
    ]
    for name, field in Settings.model_fields.items():
        if name in GROUPS:
            lines += ["", f"# --- {GROUPS[name]}"]
        default = _default(field)
        quoted = f'"{default}"' if re.search(r"[<>#]", default) else default
        lines += ["", f"# {field.description}", f"#{variable(name)}={quoted}"]
        if isinstance(field.validation_alias, AliasChoices):
            first, *others = map(str, field.validation_alias.choices)
            lines += [f"# Same as {first}, which overrides it.\n#{other}=" for other in others]
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    """Return the default of a field in the form of its variable; empty when it is unset."""
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    return "" if value in (None, "", ()) else _as_written(value)


def _as_written(value: object) -> str:
    """Return a value in the form of its variable."""
    if isinstance(value, tuple):
        pairs = value and isinstance(value[0], tuple)
        return ",".join(f"{name}={_number_of(number)}" for name, number in value) if pairs else ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number_of(number: float) -> str:
    return f"{number / 3600:g}h" if number >= 3600 else f"{number:g}"


if __name__ == "__main__":
    import sys

    print(env_file() if sys.argv[1:] == ["env"] else markdown(), end="")
