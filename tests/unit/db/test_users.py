"""Users: their passwords as they are stored."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from db import passwords, reading
from db.models import User
from tests.unit.web.clients import HASHER, create_user

pytestmark = pytest.mark.usefixtures("sqlite")


def test_a_password_is_stored_as_argon2id(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passwords, "_hasher", HASHER)
    create_user("viewer")
    with reading() as session:
        assert session.scalars(select(User.password)).one().startswith("$argon2id$v=19$m=65536,t=3,p=4$")
