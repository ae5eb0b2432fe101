"""Users: their passwords, and the first user."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from db import reading, transaction, users
from db.models import User
from tests.embedded import count
from tests.unit.web.clients import HASHER, create_user, log_in, remote_client

pytestmark = pytest.mark.usefixtures("sqlite")


def test_the_first_user_gets_a_random_password():
    with transaction() as session:
        password = users.create_first(session)
        assert users.create_first(session) is None
    assert password is not None
    web = remote_client()

    assert log_in(web, users.FIRST_USER, password).json()["role"] == "admin"
    with reading() as session:
        assert password not in str([vars(user) for user in session.scalars(select(User))])


def test_a_password_is_stored_as_argon2id(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(users, "_hasher", HASHER)
    create_user("viewer")
    with reading() as session:
        assert session.scalars(select(User.password)).one().startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.parametrize("password", ["short", "x" * 201])
def test_a_password_has_10_to_200_characters(password: str):
    with pytest.raises(users.InvalidUser, match="10 to 200"), transaction() as session:
        users.create(session, "ada", password, "viewer")
    assert count(User) == 0
