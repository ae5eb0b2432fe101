"""Settings: the customer's names, one meaning each, wrong values that explain themselves, and no secret ever shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from aura import settings
from aura.settings import Settings, SettingsError, allow_embedded, get_settings, redact, variable
from tests.commands import Run
from tests.conftest import ROOT, environment_variables

Configure = Callable[..., Settings]

#: The names in the customer's document.
CUSTOMERS = {
    "RABBITMQ_HOST",
    "RABBITMQ_USER",
    "RABBITMQ_PASSWORD",
    "RABBITMQ_PORT",
    "RABBITMQ_MANAGEMENT_PORT",
    "REDIS_URL",
    "DATABASE_URL",
    "OPENAI_API_KEY",
    "AI_MODEL",
    "AI_TEMPERATURE",
    "AI_MAX_TOKENS",
    "LOG_LEVEL",
    "LOG_FORMAT",
}


def test_the_customers_names_are_read_without_a_prefix():
    assert set(environment_variables()) >= CUSTOMERS


def test_without_settings_the_mode_is_embedded_development(configure: Configure):
    found = configure()

    assert found.embedded
    assert found.sqlite
    assert not found.production
    assert found.mode().startswith("Embedded mode: ")


@pytest.mark.parametrize("name", ["RABBITMQ_URL", "CLOUDAMQP_URL"])
def test_rabbitmq_has_two_names(configure: Configure, name: str):
    found = configure(**{name: "amqp://user:word@host/vhost"})

    assert found.rabbitmq_url == SecretStr("amqp://user:word@host/vhost")
    assert not found.embedded


def test_the_own_variable_wins_over_that_of_the_add_on(configure: Configure):
    found = configure(RABBITMQ_URL="amqp://ours/", CLOUDAMQP_URL="amqp://theirs/")

    assert found.rabbitmq_url == SecretStr("amqp://ours/")


def test_an_empty_variable_is_not_set(configure: Configure):
    assert configure(RABBITMQ_URL="", AURA_JOBS_PER_HINT="", OPENAI_API_KEY="") == Settings()


def test_the_url_is_built_from_its_parts_whatever_they_contain(configure: Configure):
    found = configure(RABBITMQ_HOST="mq", RABBITMQ_USER="a@b", RABBITMQ_PASSWORD="p:/?#[]@ %ü", RABBITMQ_PORT="5673")

    assert found.rabbitmq_url == SecretStr("amqp://a%40b:p%3A%2F%3F%23%5B%5D%40%20%25%C3%BC@mq:5673/")


def test_the_url_wins_over_its_parts(configure: Configure):
    found = configure(RABBITMQ_URL="amqp://whole/", RABBITMQ_USER="part", RABBITMQ_HOST="part")

    assert found.rabbitmq_url == SecretStr("amqp://whole/")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_spelling_of_postgresql_gets_the_installed_driver(configure: Configure, scheme: str):
    found = configure(DATABASE_URL=f"{scheme}://user:word@host:5432/name?sslmode=require")

    assert found.database_url == SecretStr("postgresql+psycopg2://user:word@host:5432/name?sslmode=require")
    assert not found.sqlite


def test_categories_are_separated_by_commas(configure: Configure):
    assert configure(AURA_CATEGORIES="Hardware, Building ,Other,").categories == ("Hardware", "Building", "Other")


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("AURA_JOBS_PER_HINT", "many", "valid integer"),
        ("AURA_JOBS_PER_HINT", "0", "greater than or equal to 1"),
        ("AURA_BASE_URL", "aura.example.com", "must start with http:// or https://"),
        ("AURA_BASE_URL", "https://", "must be https://HOST"),
        ("AURA_BASE_URL", "https:///tickets", "must be https://HOST"),
        ("AURA_BASE_URL", "https://aura.example.com/?page=1", "must be https://HOST"),
        ("AURA_BASE_URL", "https://ada:word@aura.example.com", "must be https://HOST"),
        ("AURA_BASE_URL", "https://aura.example.com:99999", "is not a URL"),
        ("AURA_BASE_URL", "https://aura example.com", "without blanks"),
        ("AURA_BASE_URL", "https://büro.example", "as xn--"),
        ("AURA_MAIL_FORMS", "www.example.com", "must be addresses"),
        ("AURA_MAIL_PARTNERS", "servicenow", "must be addresses, domains or List-Ids"),
        ("AURA_MAIL_TRUSTED_LISTS", "my list", "must be addresses, domains or List-Ids"),
        ("AURA_ENV", "prod", "'development' or 'production'"),
        ("AURA_REQUIRE_TOTP", "admin,king", "must be some of viewer, operator, admin"),
        ("AURA_TIMEZONE", "Mars/Olympus", "must be a zone name such as UTC or Europe/Berlin"),
        ("AI_TEMPERATURE", "3", "less than or equal to 2"),
        ("DATABASE_URL", "sqlite:///:memory:", "must name a file, as in sqlite:///aura.db"),
        ("DATABASE_URL", "sqlite://", "must name a file"),
        ("DATABASE_URL", "sqlite:///file:x?mode=memory&uri=true", "must name a file"),
        ("DATABASE_URL", "sqlite://aura.db", "needs three slashes"),
        ("AURA_ALERT_WEBHOOK_URL", "hooks.example.com/aura", "must be https://HOST/PATH"),
        ("AURA_ALERT_EMAILS", "operators", "must be addresses, comma-separated"),
        ("DATABASE_URL", "mysql://host/name", "must be postgresql://user:password@host/name or sqlite:///file"),
        ("LOG_FORMAT", "xml", "'pretty' or 'json'"),
        ("LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("PORT", "70000", "less than or equal to 65535"),
        ("RABBITMQ_PORT", "amqp", "valid integer"),
        ("RABBITMQ_URL", "http://host", "must start with amqp:// or amqps://"),
        ("REDIS_URL", "host:6379", "must start with redis:// or rediss:// or unix://"),
        ("SMTP_URL", "mail.example.com", "must start with smtp:// or smtps://"),
    ],
)
def test_a_wrong_value_names_the_variable_and_the_fix(configure: Configure, name: str, value: str, fix: str):
    with pytest.raises(SettingsError) as caught:
        configure(**{name: value})

    assert str(caught.value).startswith(f"{name}: ")
    assert fix in str(caught.value)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("https://aura.example.com/desk/", "https://aura.example.com/desk"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://xn--bro-hoa.example/a%20b//", "https://xn--bro-hoa.example/a%20b"),
    ],
)
def test_the_base_url_may_have_a_port_and_a_path(configure: Configure, value: str, read: str):
    assert configure(AURA_BASE_URL=value).base_url == read


def test_all_wrong_values_are_reported_at_once(configure: Configure):
    with pytest.raises(SettingsError, match=r"PORT: .*; AURA_JOBS_PER_HINT: "):
        configure(PORT="none", AURA_JOBS_PER_HINT="none")


#: Settings that production accepts.
PRODUCTION = {
    "DATABASE_URL": "postgres://aura:3hj4@db/aura",
    "AURA_ENCRYPTION_KEYS": "d2vS0v-Kk4Gq7dEwXv1u3hX0b1o8C5tYp9aQz6mJrNs",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RABBITMQ_URL", "amqp://guest:guest@rabbit/"),
        ("RABBITMQ_URL", "amqp://desk:DESK@rabbit/"),
        ("RABBITMQ_URL", "amqp://rabbit/"),
        ("DATABASE_URL", "postgres://postgres:postgres@db/aura"),
        ("DATABASE_URL", "postgres://aura:aura@db/aura"),
        ("DATABASE_URL", "postgres://aura:@db/aura"),
        ("DATABASE_URL", "postgres://aura@db/aura"),
        ("REDIS_URL", "redis://cache:6379/0"),
        ("REDIS_URL", "redis://:redis@127.0.0.1:6379/0"),
        ("SMTP_URL", "smtp://desk:Desk2026!@mail.example.com:587"),
        ("AURA_IMAP_URL", "imaps://desk:12345678@mail.example.com/INBOX"),
        ("AURA_MAIL_WEBHOOK_SECRET", "short"),
    ],
)
def test_production_refuses_well_known_secrets(configure: Configure, name: str, value: str):
    good = {**PRODUCTION, "RABBITMQ_URL": "amqp://aura:3hj4@rabbit/"}
    configure(**good, AURA_ENV="development", **({name: value} if name not in good else {}))

    with pytest.raises(SettingsError, match=f"production needs .*{name}") as refused:
        configure(**{**good, name: value, "AURA_ENV": "production"})
    assert value not in str(refused.value)


@pytest.mark.parametrize("sign", [{"AURA_ENV": "production"}, {"DYNO": "web.1"}, {"AURA_ENV": ""}])
def test_production_refuses_embedded_mode(configure: Configure, sign: dict[str, str]):
    with pytest.raises(SettingsError, match="production needs DATABASE_URL: set it"):
        configure(**sign)

    with pytest.raises(SettingsError, match="production needs DATABASE_URL: set it"):
        configure(RABBITMQ_URL="amqp://aura:3hj4@host/")

    found = configure(**PRODUCTION)
    assert (found.production, found.embedded) == (True, False), "web and scheduler need no RABBITMQ_URL"


def test_production_refuses_to_store_secrets_as_plain_text(configure: Configure):
    with pytest.raises(SettingsError, match="production needs AURA_ENCRYPTION_KEYS, the same in every process"):
        configure(**{**PRODUCTION, "AURA_ENV": "production", "AURA_ENCRYPTION_KEYS": ""})


def test_a_command_of_the_shell_may_use_embedded_mode_without_any_service(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AURA_ENV", "")
    allow_embedded()
    assert get_settings().env == "development"
    for name, value in {
        "AURA_ENV": "production",
        "DYNO": "run.1",
        "DATABASE_URL": "postgresql://a:3hj4@db/aura",
        "RABBITMQ_URL": "amqp://a:3hj4@rabbit/",
    }.items():
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            allow_embedded()
            with pytest.raises(SettingsError, match="production needs"):
                get_settings()


@pytest.mark.parametrize("command", ["scheduler", "web"])
def test_a_command_of_the_procfile_never_uses_embedded_mode_by_itself(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
):
    monkeypatch.setenv("AURA_ENV", "")
    refused = run(command)

    assert (refused.code, "production needs DATABASE_URL" in refused.err) == (2, True)


SECRETS = {
    "DATABASE_URL": "postgresql://user:{}@host/name",
    "RABBITMQ_URL": "amqp://user:{}@host/",
    "REDIS_URL": "redis://:{}@host:6379/0",
    "SMTP_URL": "smtp://user:{}@host:587",
    "OPENAI_API_KEY": "{}",
    "RABBITMQ_PASSWORD": "{}",
}


@given(secret=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).map(lambda s: f"s3cr3t{s}"))
def test_a_secret_is_never_shown(secret: str):
    written = quote(secret, safe="")
    with pytest.MonkeyPatch.context() as patch:
        for name, form in SECRETS.items():
            patch.setenv(name, form.format(written))
        get_settings.cache_clear()
        shown = f"{get_settings()!r} {get_settings()} {get_settings().mode()} {get_settings().model_dump_json()}"

    assert "s3cr3t" not in shown


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_not_repeated_in_an_error(configure: Configure, name: str):
    with pytest.raises(SettingsError) as caught:
        # wrong in itself where that is possible, and beside another wrong value
        configure(**{name: f"s3cr3t://user:{SECRETS[name].format('s3cr3t')}", "PORT": "s3cr3t"})

    error: BaseException | None = caught.value
    assert "PORT: " in str(error)
    assert "s3cr3t" not in str(error)
    assert caught.value.__suppress_context__


def test_a_secret_is_not_repeated_by_pydantic_either(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AURA_JOBS_PER_HINT", "s3cr3t")

    with pytest.raises(ValidationError) as caught:
        Settings()

    assert "s3cr3t" not in str(caught.value)


def test_a_redacted_url_keeps_host_port_and_database():
    assert redact("amqp://user:word@host:5672/vhost?token=word") == "amqp://user:***@host:5672/vhost"
    assert redact("amqp://user:word@[2001:db8::1]:5672/vhost") == "amqp://user:***@[2001:db8::1]:5672/vhost"
    assert redact("redis://[::1]/0") == "redis://[::1]/0"


def test_settings_are_read_once_and_frozen(configure: Configure):
    found = configure()

    assert get_settings() is found
    with pytest.raises(ValueError, match="frozen"):
        found.port = 1  # type: ignore[misc]


# .env.example


def test_every_variable_is_documented_in_the_example():
    lines = (ROOT / ".env.example").read_text().splitlines()
    procfile = re.findall(r"\$\{(\w+):-", (ROOT / "Procfile").read_text())

    documented = [line[1:].partition("=")[0] for line in lines if re.match(r"#\w+=", line)]

    assert set(documented) == {*environment_variables(), *procfile}
    assert len(documented) == len(set(documented))
    for field, info in Settings.model_fields.items():
        above = next(lines[n - 1] for n, line in enumerate(lines) if line.startswith(f"#{variable(field)}="))
        assert above == f"# {info.description}", (
            f"copy the description of {field} from aura/settings.py to .env.example"
        )


def test_the_example_holds_the_defaults(tmp_path, configure: Configure):
    example = (ROOT / ".env.example").read_text()
    (tmp_path / ".env").write_text(re.sub(r"^#(?=\w+=)", "", example, flags=re.MULTILINE))

    assert configure() == Settings(_env_file=None)


def test_the_env_file_is_read_and_the_environment_wins(tmp_path, configure: Configure):
    (tmp_path / ".env").write_text("AURA_JOBS_PER_HINT=7\nAURA_BATCH_WINDOW=8\n")

    found = configure(AURA_MAX_IN_FLIGHT="9")

    assert (found.jobs_per_hint, found.max_in_flight) == (7, 9)


def test_the_fixture_hides_the_developers_environment(monkeypatch: pytest.MonkeyPatch):
    assert settings.Settings() == Settings(_env_file=None)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"AURA_ATTACHMENTS": "folder"}, "AURA_ATTACHMENTS=folder needs AURA_ATTACHMENTS_FOLDER"),
        ({"AURA_ATTACHMENTS": "s3"}, "AURA_ATTACHMENTS=s3 needs AURA_ATTACHMENTS_S3_URL"),
        ({"AURA_ATTACHMENTS": "ftp"}, "AURA_ATTACHMENTS: Input should be 'database', 'folder' or 's3'"),
        ({"AURA_ATTACHMENTS_FOLDER": "files"}, "AURA_ATTACHMENTS_FOLDER: must be an absolute path"),
        (
            {"AURA_ATTACHMENTS_S3_URL": "s3://k:hunter2@b"},
            "AURA_ATTACHMENTS_S3_URL: must have the form https://HOST/BUCKET",
        ),
        ({"AURA_ATTACHMENTS_S3_URL": "https://k:hunter2@host"}, "AURA_ATTACHMENTS_S3_URL: must have the form"),
        (
            {"AURA_ATTACHMENTS_S3_URL": "https://key@host/b"},
            "AURA_ATTACHMENTS_S3_URL: must have both a key and a secret",
        ),
        ({"AURA_ATTACHMENTS_S3_URL": "https://k:hunter2/x@host/b"}, "AURA_ATTACHMENTS_S3_URL: is not a URL"),
        ({"AURA_ATTACHMENT_LIMIT": "25MB"}, "AURA_ATTACHMENT_LIMIT: Input should be a valid integer"),
        ({"AURA_ATTACHMENTS_PER_MAIL": "-1"}, "AURA_ATTACHMENTS_PER_MAIL: Input should be greater than or equal to 0"),
    ],
)
def test_a_wrong_storage_of_attachments_names_its_setting(configure: Configure, values: dict[str, str], message: str):
    with pytest.raises(SettingsError) as error:
        configure(**values)

    assert message in str(error.value)
    assert "hunter2" not in str(error.value)
