"""Signing keys: one for each purpose, whichever process makes it."""

from __future__ import annotations

import pytest

from db import reading, signing_keys, transaction
from db.models import SigningKey
from tests.embedded import count
from tests.unit.actors.helpers import run_in_parallel

pytestmark = pytest.mark.usefixtures("database")


def key(name: str = signing_keys.UNSUBSCRIBE) -> bytes:
    with reading() as session:
        return signing_keys.get(session, name)


def test_the_first_use_makes_a_key_that_stays():
    assert key() == key()
    assert len(key()) == 64
    assert count(SigningKey) == 1


def test_each_purpose_has_its_own_key():
    assert key() != key("another")


def test_processes_that_make_a_key_at_the_same_moment_use_one():
    assert len(set(run_in_parallel(*[key] * 4))) == count(SigningKey) == 1


def test_a_key_is_made_within_a_transaction_too():
    with transaction() as session:
        made = signing_keys.get(session, "another")
    assert key("another") == made


def test_a_removed_key_is_replaced_by_another():
    before = key()
    with transaction() as session:
        session.query(SigningKey).delete()
    assert key() != before
