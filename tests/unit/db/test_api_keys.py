"""API keys: hashes of secrets, and at most two live keys of a name."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from db import api_keys, reading, transaction
from db.models import ApiKey
from tests.unit.web.clients import create_key

pytestmark = pytest.mark.usefixtures("sqlite")


def test_the_secret_of_a_key_is_not_stored():
    secret = create_key("read")
    with reading() as session:
        kept = session.scalars(select(ApiKey)).one()

    assert secret not in str(vars(kept))
    assert kept.digest == api_keys.digest(secret)


def test_a_name_has_two_live_keys_at_most():
    first = create_key("read")
    create_key("read")
    with pytest.raises(api_keys.InvalidApiKey, match="revoke one of them first"):
        create_key("read")

    with reading() as session:
        found = api_keys.find(session, first)
    assert found is not None
    with transaction() as session:
        api_keys.revoke(session, found[0].id)
    create_key("read")
