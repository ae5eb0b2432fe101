"""deploy/: schemas and linters, and the names of settings, commands and queues."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import actors
from aura.jobs.rabbitmq.definitions import definitions
from aura.settings import Settings
from db import reading
from db.database import SEARCH_POOL
from db.jobs import NewJob
from tests.conftest import ROOT, environment_variables
from tests.embedded import all_jobs, claim, enqueue, mark_hinted
from tests.install import tool

DEPLOY = ROOT / "deploy"
ENVIRONMENTS = sorted((DEPLOY / "environments").glob("*/.env"))
COMPOSE = [DEPLOY / "environments/local/docker-compose.yml", DEPLOY / "tests/docker-compose.yml"]
SCHEMAS = ROOT / "tests/data/schemas"
#: Connections at most of a relay (its rounds, its heartbeat, LISTEN), the scheduler, and a command such as `aura migrate`.
RELAY, SCHEDULER, COMMAND = 3, 2, 2
#: Variables of other libraries.
FOREIGN = {"PROMETHEUS_MULTIPROC_DIR"}


def run(program: str, *arguments: Path | str) -> str:
    """Return what a program of the test extra complains about."""
    command = [str(Path(sys.executable).parent / program), *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return result.stdout + result.stderr if result.returncode else ""


def variables(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


# Environments


@pytest.mark.parametrize(
    "path", [*ENVIRONMENTS, DEPLOY / "kubernetes/settings.env"], ids=lambda path: str(path.parent.name)
)
def test_an_environment_contains_known_settings_and_no_secret(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = variables(path)
    assert found.keys() <= {*environment_variables(), *FOREIGN}
    if path.parent.name != "local":
        secrets = {"RABBITMQ_URL", "RABBITMQ_PASSWORD", "DATABASE_URL", "REDIS_URL", "SMTP_URL", "OPENAI_API_KEY"}
        secrets |= {"AURA_ENCRYPTION_KEYS"}
        assert not found.keys() & secrets
    # with what the secret store adds, they are settings that start
    more = {
        "DATABASE_URL": "postgresql://a:3hj4@h/aura",
        "RABBITMQ_URL": "amqps://a:3hj4@h/",
        "RABBITMQ_PASSWORD": "3hj4",
        "AURA_ENCRYPTION_KEYS": "d2vS0v-Kk4Gq7dEwXv1u3hX0b1o8C5tYp9aQz6mJrNs",
    }
    for name, value in (more | found).items():
        monkeypatch.setenv(name, value)
    assert Settings().production == (found["AURA_ENV"] == "production")


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.parent.name)
def test_a_compose_file_follows_the_schema(path: Path) -> None:
    schema = json.loads((SCHEMAS / "compose.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(path.read_text()))


def test_the_local_services_are_pinned_and_checked_and_not_root() -> None:
    services: dict[str, Any] = yaml.safe_load(COMPOSE[0].read_text())["services"]
    assert services.keys() >= {"rabbitmq", "postgres", "redis", "web", "worker", "scheduler"}
    for name, service in services.items():
        assert re.search(r":(local|\$\{\w+:-\d+\.\d+[^}]*\})$", service["image"]), f"{name} is not pinned"
        if name != "rabbitmq":  # its image changes to the user rabbitmq by itself, after it has made its folders
            assert service["user"] != "root"
            assert service["read_only"]
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] == ("service_completed_successfully" if other == "migrate" else "service_healthy")
            assert other == "migrate" or "test" in services[other]["healthcheck"]


def test_containers_and_the_procfile_run_the_same_commands() -> None:
    commands = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    # Heroku installs requirements.txt only: what runs there must not need the project's own script
    assert {commands[name].split()[0] for name in commands} == {"python"}
    services: dict[str, Any] = yaml.safe_load(COMPOSE[0].read_text())["services"]
    manifests = {each["metadata"]["name"]: each for each in all_manifests() if each["kind"] == "Deployment"}
    for name in ("web", "worker", "scheduler"):
        words = commands[name].removeprefix("python -m ").split()
        assert services[name]["command"] == words
        (container,) = manifests[f"aura-{name}"]["spec"]["template"]["spec"]["containers"]
        assert container["args"] == words


def test_the_dockerfile_passes_its_linter_and_copies_every_package() -> None:
    assert run("hadolint", "Dockerfile") == ""
    packages = re.search(r"\ninclude =\n((?:    \w+\*\n)+)", (ROOT / "setup.cfg").read_text())
    assert packages
    allowed = (ROOT / ".dockerignore").read_text().split("\n")
    assert {f"!{name}" for name in packages[1].replace("*", "").split()} <= set(allowed), "a package stays outside"


def test_scripts_pass_shellcheck() -> None:
    assert run("shellcheck", "-s", "sh", *(DEPLOY / "scripts").glob("*.sh")) == ""


@pytest.mark.integration
def test_units_are_valid(tmp_path: Path) -> None:
    for unit in (DEPLOY / "systemd").iterdir():
        # the program of each must exist
        text = re.sub(r"/opt/aura/bin/(\w+)", "/bin/true", unit.read_text()).replace("User=aura", "User=daemon")
        (tmp_path / unit.name).write_text(text)
    checked = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", *map(str, tmp_path.iterdir())], capture_output=True, text=True
    )
    ours = [line for line in checked.stderr.splitlines() if "aura" in line]
    assert ours == []


# Kubernetes


def all_manifests() -> list[dict[str, Any]]:
    return [
        each
        for path in (DEPLOY / "kubernetes").glob("*.yaml")
        if path.name != "kustomization.yaml"
        for each in yaml.safe_load_all(path.read_text())
    ]


def test_manifests_follow_their_schemas() -> None:
    schemas = {
        **json.loads((SCHEMAS / "kubernetes.json").read_text()),
        **json.loads((SCHEMAS / "keda.json").read_text()),
    }
    kinds = {each["kind"] for each in all_manifests()}
    for each in all_manifests():
        of_kind = schemas[each["kind"]] | {"definitions": schemas["definitions"]}
        jsonschema.Draft202012Validator(of_kind).validate(each)
    assert kinds == schemas.keys() - {"definitions"}
    listed = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())["resources"]
    assert {*listed, "kustomization.yaml"} == {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")}


@pytest.mark.usefixtures("sqlite")
def test_the_query_of_keda_runs_on_the_tables() -> None:
    (scaled,) = [each for each in all_manifests() if each["kind"] == "ScaledObject"]
    query = scaled["spec"]["triggers"][0]["metadata"]["query"].replace("SELECT FROM", "SELECT 1 FROM")
    with reading() as session:
        assert session.connection().exec_driver_sql(query.replace("now()", "datetime('now')")).scalar() == 0


def scaled_object() -> dict[str, Any]:
    (scaled,) = [each for each in all_manifests() if each["kind"] == "ScaledObject"]
    trigger: dict[str, Any] = scaled["spec"]["triggers"][0]
    return trigger


@pytest.mark.integration
def test_keda_counts_the_due_jobs_that_no_worker_runs(postgres: str) -> None:
    enqueue(*[NewJob("intake", str(number)) for number in range(5)], NewJob("intake", "later", delay=60.0))
    mark_hinted(all_jobs()[0].id)
    claim("intake", all_jobs()[1].id)
    with reading() as session:
        due = session.connection().exec_driver_sql(scaled_object()["metadata"]["query"]).scalar()
    assert due == 4, "available and queued jobs; neither the running one, nor the one that is due later"


def test_the_page_about_scaling_shows_the_query_of_keda() -> None:
    page = (ROOT / "docs/explanation/scaling.md").read_text()
    assert scaled_object()["type"] == "postgresql"
    assert scaled_object()["metadata"]["query"] in page
    assert f'targetQueryValue: "{scaled_object()["metadata"]["targetQueryValue"]}"' in page


# RabbitMQ


@pytest.mark.parametrize(("name", "quorum"), [("definitions", False), ("definitions-quorum", True)])
def test_the_definitions_of_rabbitmq_match_the_code(name: str, quorum: bool) -> None:
    queues = sorted(actors.broker.get_declared_queues())
    # the tests that declare queues of their own are of another process' business: only what the file lacks counts
    written = json.loads((DEPLOY / f"rabbitmq/{name}.json").read_text())
    ours = [queue for queue in queues if not queue.startswith("test")]
    assert written == definitions(ours, actors.TOPOLOGY, quorum=quorum), (
        "run: aura queues definitions > deploy/rabbitmq/definitions.json"
    )


def test_the_processes_of_app_json_and_a_release_command_fit_into_the_plan_of_its_database():
    """Heroku's essential-0 has 20 connections; the numbers are those of the table in docs/how-to/use-a-pooler.md."""
    app = json.loads((ROOT / "app.json").read_text())
    procfile = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert {"plan": "heroku-postgresql:essential-0"} in app["addons"]
    assert {*procfile} == {*app["formation"], "release"}
    given = {name: entry["value"] for name, entry in app["env"].items() if "value" in entry}
    assert "WEB_CONCURRENCY" in given, "Heroku sets it to two or more, by the memory of the dyno"

    assert procfile["worker"] == "python -m aura worker", "the variables are its options"

    def option(name: str) -> int:
        default = Settings.model_fields[f"worker_{name}"].default
        return int(given.get(f"WORKER_{name.upper()}", default))

    pool = int(given["AURA_DATABASE_POOL"])
    each = {
        "web": int(given["WEB_CONCURRENCY"]) * (pool + min(SEARCH_POOL, max(1, pool // 2))),
        "worker": option("processes") * min(pool, option("threads") + 2) + RELAY,
        "scheduler": SCHEDULER,
    }
    kinds = {name: each[name] * app["formation"][name]["quantity"] for name in each}
    assert sum(kinds.values()) + COMMAND <= 20 - 2, "two are for `aura doctor` and a shell"

    page = (ROOT / "docs/how-to/use-a-pooler.md").read_text()
    parts = [kinds["web"], kinds["worker"] - RELAY, RELAY, SCHEDULER]
    assert f"`AURA_DATABASE_POOL={pool}`: {' + '.join(map(str, parts))} = {sum(parts)}, with" in page
    assert f"| {RELAY - 1}, and 1 that listens" in page
    assert f"| `scheduler` | {SCHEDULER} |" in page
