"""Login: limits by account, network and device, places for hashes, login links, and the second factor."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pyotp
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from aura.errors import TooManyRequests
from aura.web.auth import login
from aura.web.auth.login import Attempt, Login
from db import login_links, login_throttle, reading, second_factor, transaction, users
from db.models import LoginFailure, LoginLink, User
from tests.embedded import count, move, web_app
from tests.unit.web.clients import PASSWORD, anonymous_client, audit_entries, create_user, log_in, remote_client


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few attempts, so that a test needs few."""
    for name, limit in (("MAX_PER_ACCOUNT", 3), ("MAX_PER_NETWORK", 5), ("MAX_PER_DEVICE", 3)):
        monkeypatch.setattr(login, name, limit)


def guess(web: TestClient, name: str, times: int = 1) -> list[int]:
    return [log_in(web, name, "wrong").status_code for _ in range(times)]


@pytest.mark.usefixtures("small_limits")
def test_failures_are_limited_by_account():
    create_user("viewer")

    assert guess(remote_client(), "viewer", 4) == [401, 401, 401, 429]
    refused = log_in(remote_client(address="192.0.2.8"), "viewer")
    assert refused.status_code == 429, "a device that is not known has to wait, from any address"
    assert refused.headers["Retry-After"]
    move(LoginFailure, expires_at=-1)
    assert log_in(remote_client(), "viewer").status_code == 200


@pytest.mark.usefixtures("small_limits")
def test_a_known_device_is_never_locked_out_by_others():
    create_user("viewer")
    own = remote_client()
    log_in(own, "viewer")
    own.cookies.delete("__Host-aura_session")

    guess(remote_client(), "viewer", 4)
    assert guess(remote_client(address="192.0.2.9"), "viewer") == [429]
    assert log_in(own, "viewer").status_code == 200


@pytest.mark.usefixtures("small_limits")
def test_a_known_device_has_attempts_of_its_own_and_no_more():
    create_user("viewer")
    stolen = remote_client()
    log_in(stolen, "viewer")

    # its own, then those of the account
    assert guess(stolen, "viewer", 7) == [401] * 6 + [429]
    assert log_in(stolen, "viewer").status_code == 429


@pytest.mark.usefixtures("small_limits")
def test_the_device_cookie_of_one_user_is_none_for_another():
    create_user("viewer", "mallory")
    create_user("viewer", "ada")
    mallory = remote_client()
    log_in(mallory, "mallory")
    with reading() as session:
        ids = {row.name: row.id for row in session.execute(select(User.name, User.id))}
    value = mallory.cookies.get(f"__Host-aura_device_{ids['mallory']}") or ""
    assert value
    mallory.cookies.set(f"__Host-aura_device_{ids['ada']}", value, domain="aura.example.com")

    assert guess(mallory, "ada", 4) == [401, 401, 401, 429]


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize(
    ("addresses", "refused"),
    [
        (["192.0.2.7"], True),
        ([f"2001:db8::{n:x}" for n in range(1, 7)], True),
        ([f"2001:db8:{n:x}::1" for n in range(1, 7)], False),
        (["::ffff:192.0.2.7", "192.0.2.7"], True),
    ],
    ids=["one", "one /64", "six /64", "mapped"],
)
def test_failures_are_limited_by_network(addresses: list[str], refused: bool):
    statuses = [guess(remote_client(address=addresses[n % len(addresses)]), f"nobody {n}")[0] for n in range(6)]

    assert statuses == [401] * 5 + [429 if refused else 401]


def test_an_address_that_used_up_its_attempts_takes_no_place(monkeypatch: pytest.MonkeyPatch):
    create_user("viewer")
    app = web_app()
    hashed: list[str] = []
    monkeypatch.setattr(login, "_verify", lambda attempt, _password: hashed.append(attempt.address) or False)
    with transaction() as session:
        for _ in range(login.MAX_PER_NETWORK):
            login_throttle.record(session, {"network:192.0.2.7": 1})

    assert guess(remote_client(app, address="192.0.2.8"), "viewer") == [401]
    monkeypatch.setattr(login, "MAX_WAITING_PER_NETWORK", 0)  # who takes a place is refused for that

    refused = log_in(remote_client(app), "viewer", "wrong")
    assert (refused.status_code, "failed logins" in refused.json()["detail"]) == (429, True)
    assert hashed == ["192.0.2.8"]


def test_one_network_takes_three_places_and_a_known_device_has_its_own():
    def attempt(address: str, device: str | None = None) -> Attempt:
        return Attempt(None, address, device, {}, b"")

    async def taken(*attempts: Attempt) -> int:
        """Return how many of these attempts wait at the same time."""
        waiting, tasks = Login(), []
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(waiting._lock)

            async def wait(each: Attempt) -> bool:
                try:
                    async with waiting._place(each):
                        return True
                except TooManyRequests:
                    return False

            tasks = [asyncio.create_task(wait(each)) for each in attempts]
            await asyncio.sleep(0)
        return sum(await asyncio.gather(*tasks))

    def run(*attempts: Attempt) -> int:
        return asyncio.run(taken(*attempts))

    assert run(*[attempt("192.0.2.7")] * 14) == login.MAX_WAITING_PER_NETWORK
    assert run(*[attempt(f"192.0.2.{n}") for n in range(30)]) == login.MAX_WAITING
    flood = [attempt(f"192.0.2.{n}") for n in range(30)]
    assert run(*flood, attempt("192.0.2.7", "laptop")) == login.MAX_WAITING + 1


def test_a_failed_login_is_recorded_with_the_name_of_a_user_alone():
    create_user("viewer", "ada")
    guess(remote_client(), "ada")
    guess(remote_client(), "MyS3cretPassw0rd!")

    assert audit_entries() == [("user ada", "login.refuse", "user/ada"), ("unknown", "login.refuse", "login")]
    with reading() as session:
        assert "MyS3cret" not in str(session.scalars(select(LoginFailure.key)).all())


@pytest.mark.parametrize("body", [{"name": "view\0er", "password": "x"}, {"name": "viewer", "password": "\0"}])
def test_nul_is_refused(body: dict[str, str]):
    create_user("viewer")

    assert remote_client().post("/api/v1/login", json=body).status_code == 422
    assert remote_client().post("/login", data=body).status_code == 401


# Login links


def link(name: str | None = None) -> str:
    with transaction() as session:
        return f"/login?token={login_links.create(session, name)[1]}"


#: What browsers send when they load a page that nobody has opened yet.
LOOKS_AHEAD = (
    *(("Sec-Purpose", "prefetch"), ("Sec-Purpose", "prefetch;prerender"), ("Purpose", "prefetch")),
    *(("X-Purpose", "preview"), ("X-Moz", "prefetch")),
)


def test_a_login_link_logs_in_once_and_creates_the_first_administrator():
    path, web = link(), anonymous_client()
    web.follow_redirects = False
    assert web.head(path).status_code == 200
    for name, value in LOOKS_AHEAD:
        assert web.get(path, headers={name: value}).status_code == 200, "what looks ahead does not use it"

    answer = web.get(path)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    shown = web.get("/api/v1/session").json()
    assert (shown["who"], "admin" in shown["scopes"]) == ("user admin", True)
    again = anonymous_client()
    assert again.get(path).status_code == 401
    assert again.get("/api/v1/session").status_code == 401


def test_a_login_link_expires_and_is_replaced_by_the_next():
    first, second = link(), link()
    web = anonymous_client()
    assert web.get(first).status_code == 401
    move(LoginLink, expires_at=-1)
    assert web.get(second).status_code == 401


def test_a_login_link_is_stored_as_a_digest_and_refused_over_http_elsewhere():
    path = link()
    with reading() as session:
        assert path.partition("=")[2] not in str([vars(each) for each in session.scalars(select(LoginLink))])
    assert remote_client(url="http://desk.example.com").get(path).status_code == 403
    assert count(LoginLink) == 1


def test_a_disabled_user_has_no_use_of_a_login_link():
    create_user("viewer", "ada")
    path = link("ada")
    with transaction() as session:
        users.disable(session, "ada")
    assert anonymous_client().get(path).status_code == 401


# The second factor


@pytest.fixture
def codes() -> list[str]:
    return []


@pytest.fixture
def totp(codes: list[str]) -> pyotp.TOTP:
    """The second factor of the user ada, whose recovery codes are `codes`."""
    create_user("viewer", "ada")
    with transaction() as session:
        user = users.find(session, "ada")
        assert user is not None
        second_factor.prepare(session, user.id)
        seed, _ = second_factor.pending(session, user.id) or ("", "")
        made = pyotp.TOTP(seed)
        codes[:] = second_factor.confirm(session, user.id, made.now())
        session.execute(update(User).values(totp_step=None))
    return made


def with_code(web: TestClient, code: str, password: str = PASSWORD) -> int:
    return web.post("/api/v1/login", json={"name": "ada", "password": password, "code": code}).status_code


def test_a_second_factor_needs_password_and_code(totp: pyotp.TOTP):
    assert log_in(remote_client(), "ada").status_code == 401
    assert with_code(remote_client(), "000000") == 401
    assert with_code(remote_client(), totp.now(), "wrong") == 401
    assert with_code(remote_client(), totp.now()) == 200


def test_a_code_works_once(totp: pyotp.TOTP):
    code = totp.now()
    assert with_code(remote_client(), code) == 200
    assert with_code(remote_client(), code) == 401


@pytest.mark.usefixtures("totp")
def test_a_recovery_code_works_once(codes: list[str]):
    code = codes[3]
    assert [with_code(remote_client(), each) for each in (code, code)] == [200, 401]
    assert with_code(remote_client(), codes[4].upper().replace("-", " ")) == 200


@pytest.mark.usefixtures("small_limits")
def test_guesses_of_codes_are_limited(totp: pyotp.TOTP):
    assert [with_code(remote_client(), f"00000{n}") for n in range(4)] == [401, 401, 401, 429]
    assert with_code(remote_client(), totp.now()) == 429


def test_the_page_asks_for_the_code_after_the_password(totp: pyotp.TOTP):
    web = remote_client(Accept="text/html")
    web.follow_redirects = False
    asked = web.post("/login", data={"name": "ada", "password": PASSWORD, "to": "/jobs"})
    assert (asked.status_code, 'action="/login/code"' in asked.text) == (200, True)
    assert PASSWORD not in asked.text and web.get("/account").status_code == 303
    fields = {name: _field(asked.text, name) for name in ("to", "name", "pending")}

    forged = fields | {"pending": f"9999999999.{'0' * 64}"}
    assert web.post("/login/code", data=forged | {"code": totp.now()}).status_code == 401
    assert web.post("/login/code", data=fields | {"code": "000000"}).status_code == 401
    answer = web.post("/login/code", data=fields | {"code": totp.now()})
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs")
    assert web.get("/account").status_code == 200


def test_a_changed_password_ends_a_login_that_waits_for_its_code(totp: pyotp.TOTP):
    web = remote_client(Accept="text/html")
    asked = web.post("/login", data={"name": "ada", "password": PASSWORD})
    fields = {name: _field(asked.text, name) for name in ("to", "name", "pending")}
    with transaction() as session:
        users.set_password(session, "ada", "another horse battery")

    assert web.post("/login/code", data=fields | {"code": totp.now()}).status_code == 401


def _field(page: str, name: str) -> str:
    return page.partition(f'name="{name}" value="')[2].partition('"')[0]
