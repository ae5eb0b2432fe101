"""Aura behind real proxies on the same machine: nothing is open, and the shipped configurations let people log in."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml

from tests.acceptance.conftest import Installation
from tests.access import AUTHORIZATION
from tests.proxies import HOST, PROXIES, Caddy, HAProxy, Nginx, ReverseProxy

pytestmark = pytest.mark.integration

PASSWORD = "correct horse battery"
NGINX = "events {} http { server { listen 127.0.0.1:PORT; location / { proxy_pass http://127.0.0.1:8000; %s } } }"
HAPROXY = """
defaults
    mode %s
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend all
    bind 127.0.0.1:PORT
    default_backend aura
backend aura
    server aura 127.0.0.1:8000
"""
#: Proxies as they are often written, without a word about Aura.
BARE: dict[str, tuple[type[ReverseProxy], str]] = {
    "nginx": (Nginx, NGINX % ""),
    "nginx with Host": (Nginx, NGINX % "proxy_set_header Host $host;"),
    "nginx with X-Forwarded-For": (Nginx, NGINX % "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"),
    "HAProxy, http": (HAProxy, HAPROXY % "http"),
    "HAProxy, tcp": (HAProxy, HAPROXY % "tcp"),
}


def running(folder: Path, **variables: str) -> Iterator[Installation]:
    installation = Installation(folder, {"DATABASE_URL": f"sqlite:///{folder / 'aura.db'}", **variables})
    installation.start("run", "aura", "run", "--port", str(installation.port))
    installation.wait_until_ready()
    installation.aura("users", "create", "ada", "--role", "admin", stdin=f"{PASSWORD}\n")
    yield installation
    installation.close()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """`aura run` with the default settings."""
    yield from running(tmp_path_factory.mktemp("embedded"))


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """`aura run` with the settings that the files of deploy/proxies name."""
    settings = {"AURA_BASE_URL": f"https://{HOST}", "FORWARDED_ALLOW_IPS": "127.0.0.1"}
    yield from running(tmp_path_factory.mktemp("configured"), **settings)


@pytest.mark.parametrize("name", BARE)
def test_nothing_is_open_behind_a_proxy_on_the_same_machine(embedded: Installation, name: str) -> None:
    kind, configuration = BARE[name]
    with kind(embedded.port, configuration) as proxy, httpx.Client(base_url=f"http://127.0.0.1:{proxy.port}") as web:
        for host in (HOST, "localhost", "127.0.0.1", f"127.0.0.1:{embedded.port}", "[::1]"):
            for sent in ({}, {"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1;host=localhost"}):
                headers = {"Host": host, **sent}
                paused = web.post("/api/v1/queues/notify.email/pause", json={"seconds": 60}, headers=headers)
                asked = [
                    web.get(path, headers=headers).status_code for path in ("/api/v1/session", "/metrics", "/audit")
                ]
                assert [paused.status_code, *asked] == [401] * 4, headers
        assert web.get("/api/v1/session", headers=AUTHORIZATION).status_code == 200, "a key works"
    assert embedded.scalar("SELECT count(*) FROM queue_controls") == 0


def test_a_login_behind_a_proxy_without_settings_is_refused_with_the_setting(embedded: Installation) -> None:
    with Nginx(embedded.port, NGINX % "") as proxy, httpx.Client(base_url=f"http://127.0.0.1:{proxy.port}") as web:
        body = {"name": "ada", "password": PASSWORD}
        answer = web.post("/api/v1/login", json=body, headers={"Host": HOST, "Origin": f"https://{HOST}"})

    assert answer.status_code == 403
    assert "AURA_BASE_URL" in answer.json()["detail"]


@pytest.fixture(params=[Nginx, HAProxy, Caddy], ids=lambda kind: kind.__name__)
def proxy(request: pytest.FixtureRequest, configured: Installation) -> Iterator[ReverseProxy]:
    """A proxy with its configuration of deploy/proxies."""
    with request.param(configured.port) as proxy:
        yield proxy


@pytest.fixture
def web(proxy: ReverseProxy) -> Iterator[httpx.Client]:
    """A browser that resolves desk.example.com to the proxy."""
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE

    def name_server(request: httpx.Request) -> None:
        request.headers["Host"] = HOST
        request.extensions["sni_hostname"] = HOST

    hooks: Any = {"request": [name_server]}
    with httpx.Client(base_url=f"https://127.0.0.1:{proxy.port}", verify=unverified, event_hooks=hooks) as web:
        yield web


def log_in(web: httpx.Client, password: str = PASSWORD, **headers: str) -> httpx.Response:
    body = {"name": "ada", "password": password}
    return web.post("/api/v1/login", json=body, headers={"Origin": f"https://{HOST}", **headers})


def test_a_user_logs_in_and_addresses_of_clients_cannot_be_forged(web: httpx.Client, configured: Installation) -> None:
    assert web.get("/api/v1/session").status_code == 401
    forged = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9"}
    forged |= {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example"}

    answer = log_in(web, **forged)

    assert answer.status_code == 200, answer.text
    assert answer.headers["set-cookie"].startswith("__Host-aura_session=")
    assert answer.headers.get_list("strict-transport-security") == ["max-age=31536000"]
    assert web.get("/api/v1/session").json()["who"] == "user ada"
    assert web.get("/health/live/").headers["location"] in ("/health/live", f"https://{HOST}/health/live")
    address = configured.scalar("SELECT address FROM audit_log WHERE action = 'login.begin' ORDER BY id DESC LIMIT 1")
    assert address == "127.0.0.1"


def test_a_large_header_and_a_large_body_are_refused_by_the_proxy(web: httpx.Client, configured: Installation) -> None:
    assert web.get("/health/live", headers={"X-Large": "a" * 100_000}).status_code in (400, 431)
    body = b"a" * 28_000_000
    refused = web.post("/api/v1/tickets", content=body, headers=AUTHORIZATION | {"Content-Type": "application/json"})
    assert refused.status_code == 413


def test_live_updates_arrive_at_once(web: httpx.Client) -> None:
    with web.stream("GET", "/api/v1/events", headers=AUTHORIZATION, timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 2000"
        time.sleep(1.5)  # until the feed has read the state before the change
        started = time.monotonic()
        created = web.post("/api/v1/tickets", json={"title": "VPN drops"}, headers=AUTHORIZATION)
        assert created.status_code == 202
        next(line for line in lines if line.startswith("event: "))
        assert time.monotonic() - started < 10, "an answer that a proxy buffers arrives after minutes"


def test_plain_http_leads_to_https_and_another_host_has_no_answer(proxy: ReverseProxy) -> None:
    if not isinstance(proxy, Caddy):  # whose redirects are off without its own certificates
        answer = httpx.get(f"http://127.0.0.1:{proxy.http_port}/tickets?q=1", headers={"Host": "evil.example"})
        assert answer.headers["location"] == f"https://{HOST}/tickets?q=1"
    try:
        answer = httpx.get(
            f"https://127.0.0.1:{proxy.port}/health/live", verify=False, headers={"Host": "evil.example"}
        )
    except httpx.HTTPError:
        return
    assert "alive" not in answer.text


def test_the_configuration_of_traefik_is_complete() -> None:
    static, dynamic = (yaml.safe_load((PROXIES / name).read_text()) for name in ("traefik.yml", "traefik-dynamic.yml"))

    secure = static["entryPoints"]["websecure"]
    assert secure["forwardedHeaders"] == {"insecure": False, "trustedIPs": []}
    router = dynamic["http"]["routers"]["aura"]
    assert router["entryPoints"] == ["websecure"] and router["tls"]["certResolver"] in static["certificatesResolvers"]
    assert set(router["middlewares"]) == set(dynamic["http"]["middlewares"])
    assert dynamic["http"]["middlewares"]["headers"]["headers"]["stsSeconds"] > 0
    assert json.dumps(dynamic["http"]["services"]["aura"]).count("http://127.0.0.1:8000") == 1
