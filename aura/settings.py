"""Every environment variable Aura reads, typed, documented and read once.

``get_settings()`` returns the one ``Settings`` of the process. A wrong value raises ``SettingsError``, which names the
variable and the fix and never repeats the value, for it may be a secret. ``aura doctor`` prints what is in force.
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
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from aura.errors import ConfigurationError

PRIORITIES = ("low", "medium", "high", "critical")
STATUSES = ("open", "in_progress", "pending", "resolved", "closed")
#: Ways out of the house, besides in_app, where the row is the message.
CHANNELS = ("email", "slack", "teams", "webhook", "apprise")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY, _TIME = f"(?:{'|'.join(WEEKDAYS)})", r"(?:[01]\d|2[0-3]):[0-5]\d"
_DAYS = rf"{_DAY}(?:-{_DAY})?"
BUSINESS_HOURS = rf"({_DAYS}(?:,{_DAYS})*) ({_TIME})-({_TIME}|24:00)"


class SettingsError(ConfigurationError):
    """A setting is missing or wrong; the message names the variable and the fix."""


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _pairs(value: object, number: Callable[[str], float]) -> object:
    """Read `name=number,name=number`; off is none."""
    if not isinstance(value, str):
        return value
    parts = [part.partition("=") for part in value.split(",") if part.strip() and value.strip() != "off"]
    return tuple((name.strip(), number(said.strip())) for name, _, said in parts)


def _rates(value: object) -> object:
    return _pairs(value, _number)


def _number(said: str) -> float:
    try:
        return float(said)
    except ValueError:
        raise ValueError("a rate is a number of messages a second, such as 1 or 0.5") from None


#: Seconds of a duration's unit.
UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0}


def _durations(value: object) -> object:
    return _pairs(value, _duration)


def _duration(said: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd])", said)
    if found is None:
        raise ValueError("a duration is a number with m, h or d, such as 90m, 4h or 2d")
    return float(found[1]) * UNITS[found[2]]


def _split_url(url: str) -> SplitResult:
    """Return the parts of a URL with a valid port. Raises ValueError, whose text repeats nothing of the URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
        # an @ behind the host: a password with a bare / or # in it, which would be shown as a path
        misread = "@" in parts.path + parts.query + parts.fragment
    except ValueError:
        misread = True
    if misread:
        # outside `except`, for the original error quotes a part of the URL, which may be the password
        raise ValueError("is no URL: percent-encode what is special in user name and password (/ is %2F, # %23)")
    return parts


def problems_of(error: ValidationError) -> list[tuple[str, str]]:
    """Return what is wrong as (field, problem), without the values, which may be long, hostile or secret."""
    each = error.errors(include_input=False, include_url=False, include_context=False)
    return [(".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in each]


def explain(error: ValidationError) -> str:
    """Return what is wrong in one line."""
    return "; ".join(f"{field}: {problem}" if field else problem for field, problem in problems_of(error))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type when it says nothing: databases add whole statements."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def redact(url: str) -> str:
    """Return the URL without its password and query, fit for a log line."""
    if url.startswith("sqlite"):
        return url.partition("?")[0]
    parts = _split_url(url)
    user = f"{parts.username}:***@" if parts.password else (f"{parts.username}@" if parts.username else "")
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, f"{user}{parts.hostname or ''}{port}", parts.path, "", ""))


#: Passwords that servers and examples come with; production starts with none of them.
DEFAULT_PASSWORDS = frozenset({"guest", "password", "postgres", "changeme", "change-me", "secret"})
SHORTEST_SECRET = 16


class Settings(BaseSettings):
    """The settings of one process; fields are frozen, secrets are ``SecretStr``."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_prefix="AURA_",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        env_ignore_empty=True,
    )

    # Where it runs
    env: Literal["development", "production"] = Field("development", description="production refuses embedded mode.")
    dyno: str = Field("", validation_alias="DYNO", description="Set by Heroku; has the effect of AURA_ENV=production.")
    port: int = Field(8000, validation_alias="PORT", ge=1, le=65535, description="Port of the web process.")
    host: str = Field("127.0.0.1", validation_alias="HOST", description="Address that `aura run` listens on.")
    web_concurrency: int = Field(1, validation_alias="WEB_CONCURRENCY", ge=1, description="Web processes.")
    base_url: str = Field("http://127.0.0.1:8000", description="Public address, for links in notifications.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias="LOG_LEVEL", description="Least severe log line that is written."
    )
    log_format: Literal["pretty", "json"] = Field(
        "pretty", validation_alias="LOG_FORMAT", description="json writes one object a line, for log collectors."
    )

    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Port on which the worker command serves its metrics; unset: none."
    )
    traces: Literal["off", "otlp", "console"] = Field(
        "off", description="Export spans: otlp (to OTEL_EXPORTER_OTLP_ENDPOINT), console (a JSON line each), or off."
    )
    sentry_dsn: SecretStr | None = Field(
        None,
        validation_alias="SENTRY_DSN",
        description="https://KEY@HOST/PROJECT of Sentry, or of a server like it, which gets what is logged as an error.",
    )

    # Services
    database_url: SecretStr = Field(
        SecretStr("sqlite:///aura.db"),
        validation_alias="DATABASE_URL",
        description="postgresql://user:password@host/name, or sqlite:///file for embedded mode.",
    )
    database_pool: int = Field(10, ge=1, description="Database connections one process may hold.")
    database_prepare: bool = Field(
        True,
        description="Prepare the hot statements; false behind a pooler that shares connections (PgBouncer, transaction mode).",
    )
    rabbitmq_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("RABBITMQ_URL", "CLOUDAMQP_URL"),
        description="amqp://user:password@host:5672/vhost (amqps:// for TLS). Unset: embedded mode.",
    )
    rabbitmq_host: str = Field(
        "", validation_alias="RABBITMQ_HOST", description="With RABBITMQ_USER: instead of the URL."
    )
    rabbitmq_user: str = Field("", validation_alias="RABBITMQ_USER", description="With RABBITMQ_PASSWORD.")
    rabbitmq_password: SecretStr = Field(SecretStr(""), validation_alias="RABBITMQ_PASSWORD", description="See above.")
    rabbitmq_port: int = Field(5672, validation_alias="RABBITMQ_PORT", ge=1, le=65535, description="AMQP port.")
    rabbitmq_management_port: int = Field(
        15672, validation_alias="RABBITMQ_MANAGEMENT_PORT", ge=1, le=65535, description="Port of RabbitMQ's own pages."
    )
    redis_url: SecretStr | None = Field(
        None, validation_alias="REDIS_URL", description="redis://:password@host:6379/0; optional."
    )
    smtp_url: SecretStr | None = Field(
        None,
        validation_alias="SMTP_URL",
        description="smtp://user:password@host:587 (STARTTLS when offered) or smtps://host:465. Unset: mails are logged.",
    )

    # Classification
    openai_api_key: SecretStr | None = Field(
        None, validation_alias="OPENAI_API_KEY", description="Set: OpenAI classifies, the local engine steps in."
    )
    openai_base_url: str | None = Field(
        None, validation_alias="OPENAI_BASE_URL", description="A compatible server instead of api.openai.com."
    )
    ai_model: str = Field("gpt-6-luna", validation_alias="AI_MODEL", description="Model name at the provider.")
    ai_temperature: float = Field(
        0.0, validation_alias="AI_TEMPERATURE", ge=0, le=2, description="Sampling temperature."
    )
    ai_max_tokens: int = Field(500, validation_alias="AI_MAX_TOKENS", ge=50, description="Longest answer, in tokens.")
    ai_timeout: float = Field(
        20.0, validation_alias="AI_TIMEOUT", gt=0, description="Seconds one call may take in all."
    )
    categories: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        ("Hardware", "Software", "Network", "Email", "Access", "Security", "Other"),
        min_length=1,
        description="Categories, comma-separated; the local engine knows the seven of the default.",
    )
    review_below: float = Field(
        0.5,
        ge=0,
        le=1,
        description="A verdict below this confidence needs review, whatever was learned about its class.",
    )
    auto_apply_precision: float = Field(
        0.95, gt=0, lt=1, description="Share of the verdicts applied without review that shall be right."
    )
    ai_mask: Literal["on", "off"] = Field(
        "on", description="Mask addresses, numbers, tokens and passwords in what goes to OpenAI and into notifications."
    )
    ai_budget_day: float = Field(
        10.0, ge=0, description="US dollars a day for the remote engine, all workers together; 0 asks it nothing."
    )
    ai_budget_ticket: float = Field(0.05, ge=0, description="US dollars one ticket may cost, retries included.")
    ai_cache_seconds: int = Field(3600, ge=0, description="How long the answer to an equal ticket is used again.")
    ai_batch_above: int = Field(
        200, ge=0, description="More stale tickets than this go through the provider's Batch API; 0: never."
    )

    # Major incidents
    incident_tickets: int = Field(5, ge=2, description="Similar tickets that are proposed as one major incident.")
    incident_minutes: float = Field(15.0, gt=0, description="Minutes within which they come.")

    # Notifications
    mail_from: str = Field("Aura <aura@localhost>", validation_alias="MAIL_FROM", description="Sender of e-mails.")
    service_desk: str = Field(
        "service-desk@localhost", description="Who is told when no agent fits: an e-mail address that somebody reads."
    )
    digest_above: int = Field(
        30, ge=0, description="Messages to one recipient within a minute; what exceeds it becomes one digest. 0: never."
    )
    at_most_once_channels: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        description="Channels on which a message is not sent again when nobody knows whether it left, such as slack,teams.",
    )
    channel_rates: Annotated[tuple[tuple[str, float], ...], NoDecode, BeforeValidator(_rates)] = Field(
        (("slack", 1.0), ("teams", 1.0)),
        description="Most messages a second of a channel, all workers together, such as slack=1,email=20.",
    )
    webhook_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        description="Hosts inside your own network (name:port) that webhooks may reach, plain http too; by default none.",
    )
    imap_url: SecretStr | None = Field(
        None, description="imaps://user:password@host/INBOX, from which `aura intake imap` takes mails."
    )
    mail_webhook_secret: SecretStr | None = Field(
        None,
        description="Key (whsec_...) that signs mails posted to /api/v1/intake/email, or two with a comma; unset: refused.",
    )
    mail_limit: int = Field(
        25_000_000,
        ge=10_000,
        description="Most bytes of a mail that comes in; a larger one is listed, and kept where it is.",
    )
    mail_sender_limit: int = Field(
        60,
        ge=0,
        description="Mails of one sender within an hour, beyond which no ticket is made of them. 0: any number.",
    )
    reopen_days: float = Field(
        14.0,
        ge=0,
        description="Days within which a reply opens a resolved ticket again; after them it is a new ticket.",
    )

    # Targets of resolution
    sla: Annotated[tuple[tuple[str, float], ...], NoDecode, BeforeValidator(_durations)] = Field(
        (("critical", 4 * 3600.0), ("high", 8 * 3600.0), ("medium", 24 * 3600.0), ("low", 40 * 3600.0)),
        description="Business time until a ticket of each priority should be resolved, such as critical=90m,high=8h; off: none.",
    )
    sla_warn_at: float = Field(0.75, gt=0, lt=1, description="Share of that time after which its agent is warned.")
    business_hours: str = Field(
        "Mon-Fri 08:00-18:00", description="When that time runs, in the zone of AURA_TIMEZONE, or always."
    )
    holidays: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="Days on which it stands still, such as 2026-12-25,2026-12-26."
    )

    # Jobs
    jobs_per_hint: int = Field(100, ge=1, le=1000, description="Most jobs in one hint.")
    max_in_flight: int = Field(
        2000, ge=1, description="Most jobs of one actor that wait inside RabbitMQ; the rest in the table."
    )
    max_attempts: int = Field(8, ge=1, description="Attempts before a job becomes a dead letter.")
    replay_limit: int = Field(3, ge=0, description="Replays of one job's dead letters before a replay must be forced.")
    events: bool = Field(
        True, description="Tell other services on RabbitMQ what happens to tickets; false: nobody listens."
    )
    worker_threads: int = Field(4, ge=1, description="Worker threads of `aura run`.")
    worker_dead_after: float = Field(10.0, ge=6, description="Seconds without a heartbeat that make a worker dead.")
    quorum_queues: bool = Field(False, description="Declare quorum queues, for a RabbitMQ cluster.")

    # Clock
    timezone: str = Field("UTC", description="Time zone of the timetable, such as Europe/Berlin.")
    schedules: Path | None = Field(
        None, description="YAML file with other times for the timetable: JOB: {when: CRONTAB, zone: ZONE}, or JOB: off."
    )
    reanalyze_after_days: float = Field(
        3.0, gt=0, description="An open ticket's verdict is stale after this many days."
    )
    job_retention_days: float = Field(
        30.0, gt=0, description="Days that attempts, schedule runs and what was sent to OpenAI are kept."
    )
    notification_retention_days: float = Field(90.0, gt=0, description="Days that sent notifications are kept.")
    verdict_text_retention_days: float = Field(
        365.0, gt=0, description="Days that verdicts keep their texts (reason, summary, similar tickets)."
    )
    mail_retention_days: float = Field(90.0, gt=0, description="Days that the bytes of mails that came in are kept.")

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
        found = re.fullmatch(BUSINESS_HOURS, value)
        if value != "always" and (found is None or found[2] >= found[3]):
            raise ValueError(
                "must be such as Mon-Fri 08:00-18:00 or Mon,Wed 09:00-12:30, or always; they end after they begin"
            )
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str) -> str:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", parseaddr(value)[1]):
            raise ValueError("must be one address, such as Aura <aura@example.com>")
        return value

    @field_validator("base_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        scheme, found, rest = url.partition("://")
        # SQLAlchemy 2.1 takes a bare postgresql:// for psycopg 3, and never knew Heroku's postgres://
        if scheme in ("postgres", "postgresql", "postgresql+psycopg2") and found:
            _split_url(url)
            return SecretStr(f"postgresql+psycopg2://{rest}")
        if scheme == "sqlite" and found:
            return value
        raise ValueError("must be postgresql://user:password@host/name or sqlite:///file")

    @field_validator("rabbitmq_url", "redis_url", "smtp_url", "imap_url")
    @classmethod
    def _scheme(cls, value: SecretStr | None, info: Any) -> SecretStr | None:
        allowed = {
            "rabbitmq_url": ("amqp", "amqps"),
            "redis_url": ("redis", "rediss", "unix"),
            "smtp_url": ("smtp", "smtps"),
            "imap_url": ("imap", "imaps"),
        }
        if value is not None:
            parts = _split_url(value.get_secret_value())
            if parts.scheme not in allowed[info.field_name] or not (parts.hostname or parts.scheme == "unix"):
                raise ValueError("must start with " + " or ".join(f"{name}://" for name in allowed[info.field_name]))
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
    def _assemble_rabbitmq(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Build the URL from RABBITMQ_USER/PASSWORD/HOST/PORT, the customer's other way to say it."""
        if values.get("RABBITMQ_USER") and not (values.get("RABBITMQ_URL") or values.get("CLOUDAMQP_URL")):
            user = quote(str(values["RABBITMQ_USER"]), safe="")
            password = quote(str(values.get("RABBITMQ_PASSWORD", "")), safe="")
            host = values.get("RABBITMQ_HOST") or "localhost"
            values = {
                **values,
                "RABBITMQ_URL": f"amqp://{user}:{password}@{host}:{values.get('RABBITMQ_PORT') or 5672}/",
            }
        return values

    @model_validator(mode="after")
    def _no_embedded_production(self) -> Settings:
        if self.production:
            missing = [n for n, unset in (("RABBITMQ_URL", self.embedded), ("DATABASE_URL", self.sqlite)) if unset]
            if missing:
                raise ValueError(
                    f"production needs {' and '.join(missing)}: set it to the service's URL "
                    "(embedded mode is for development; it is refused when DYNO or AURA_ENV=production is set)"
                )
            for name, url in (("RABBITMQ_URL", self.rabbitmq_url), ("DATABASE_URL", self.database_url)):
                if url and (_split_url(url.get_secret_value()).password or "").lower() in DEFAULT_PASSWORDS:
                    raise ValueError(f"production needs another password in {name}: everybody knows this one")
            if self.mail_webhook_secret and len(self.mail_webhook_secret.get_secret_value()) < SHORTEST_SECRET:
                raise ValueError(
                    f"production needs an AURA_MAIL_WEBHOOK_SECRET of {SHORTEST_SECRET} characters at least"
                )
        return self

    @property
    def production(self) -> bool:
        return self.env == "production" or bool(self.dyno)

    @property
    def embedded(self) -> bool:
        """Whether the broker lives inside this process, because no RabbitMQ is named."""
        return self.rabbitmq_url is None

    @property
    def sqlite(self) -> bool:
        return self.database_url.get_secret_value().startswith("sqlite")

    def mode(self) -> str:
        """Return the one sentence that says which mode runs."""
        store = redact(self.database_url.get_secret_value())
        engine = f"OpenAI {self.ai_model}" if self.openai_api_key else "the local engine"
        if self.rabbitmq_url is None:
            return f"Embedded mode: jobs in {store}, broker inside this process, classified by {engine}."
        return f"Service mode: jobs in {store}, hints on {redact(self.rabbitmq_url.get_secret_value())}, classified by {engine}."


def variable(field: str) -> str:
    """Return the environment variable that sets a field of ``Settings``."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return str(alias) if alias else f"AURA_{field.upper()}"


_chosen: list[Settings] = []


class _Given(Settings):
    """Settings made of what they are given alone, whatever the environment and .env say."""

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # the other sources are what it leaves out
        cls, settings_cls: Any, init_settings: Any, **_others: Any
    ) -> tuple[Any, ...]:
        return (init_settings,)


def given(**values: Any) -> Settings:
    """Return settings of these values alone, by variable name (AURA_ ones by field name); the rest are defaults."""
    return _Given(**values)


def use(settings: Settings) -> None:
    """Make these the settings of the process, before anything has read them; the demo does."""
    _chosen[:] = [settings]
    get_settings.cache_clear()


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Read the environment once. Raises SettingsError, which names each wrong variable and the fix."""
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
        # `from None`: the ValidationError holds what was read, secrets included
        raise SettingsError("; ".join(lines)) from None


def markdown() -> str:
    """Return every variable, what it does and its default, for docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "Every variable Aura reads. `python -m settings` writes this page from `aura/settings.py`.",
    ]
    lines += ["", "| variable | default | what it does |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        said = "" if default in (None, "", ()) else f"`{_as_written(default)}`"
        lines.append(f"| `{variable(name)}` | {said} | {field.description} |")
    return "\n".join(lines) + "\n"


def _as_written(value: object) -> str:
    """Return a default as it would be written into a variable."""
    if isinstance(value, tuple):
        pairs = value and isinstance(value[0], tuple)
        return ",".join(f"{name}={_number_of(number)}" for name, number in value) if pairs else ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number_of(number: float) -> str:
    return f"{number / 3600:g}h" if number >= 3600 else f"{number:g}"


if __name__ == "__main__":
    print(markdown(), end="")
