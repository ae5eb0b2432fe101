"""Clients: stored forms of external ids and idempotency keys."""

from __future__ import annotations

import json

from db.clients import SEPARATOR, STORED_LENGTH, key_digest, scoped, unscoped
from db.models import IdempotencyKey, Ticket
from db.statements import table


def test_the_stored_id_contains_the_client_and_returns_the_id():
    assert scoped("key intranet", "4711") == f"key intranet{SEPARATOR}4711"
    assert unscoped(scoped("key intranet", "4711")) == "4711"
    assert [unscoped("4711"), unscoped(None), scoped("key intranet", None), scoped("", "4711")] == [
        "4711",
        None,
        None,
        "4711",
    ]


def test_no_name_of_a_client_is_read_as_another_client_with_an_id():
    assert scoped(f"a{SEPARATOR}b", "c") != scoped("a", f"b{SEPARATOR}c")


def test_the_longest_stored_forms_fit_their_columns():
    longest = scoped("account " + "a" * 255, "i" * 200)
    assert longest is not None
    assert len(longest) <= STORED_LENGTH == table(Ticket).c.external_id.type.length
    assert len(key_digest("key " + "n" * 80, "k" * 255, 50_000)) <= table(IdempotencyKey).c.key.type.length


def test_a_long_id_is_stored_as_a_digest_of_client_and_id_and_returned_as_it_was_sent():
    sent, other = "i" * 200, "i" * 199 + "j"
    stored = scoped("key intranet", sent)

    assert len({stored, scoped("key intranet", other), scoped("key portal", sent)}) == 3
    assert unscoped(stored, json.dumps({"title": "VPN", "external_id": sent})) == sent
    assert [unscoped(stored, raw) for raw in ("", "[]", "{", '{"external_id": 7}')] == [stored] * 4


def test_each_client_key_and_line_has_a_digest_of_its_own():
    uses = [("a", "k#1", None), ("a", "k", 1), ("a", "k", 11), ("a", "k#1", 1), ("b", "k", 1), ("a\0k", "", 1)]
    assert len({key_digest(*use) for use in uses}) == len(uses)
