"""Messages of completed actions: those of this session alone are shown."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from aura.web import done_messages
from aura.web.done_messages import FIXED, opened, seal


def test_a_link_of_another_site_shows_no_message(browser: TestClient):
    for value in ("Your password has expired. Call 555 0100.", seal("Your password has expired.")):
        assert 'role="status"><bdi>' not in browser.get(f"/?done={quote(value)}").text


def test_a_message_is_shown_to_the_session_that_it_belongs_to():
    token = done_messages.signer.set("ada")
    sealed = seal("17 jobs \u202e replayed")
    assert opened(sealed) == "17 jobs \u202e replayed"
    assert opened(f"{sealed}!") == ""
    done_messages.signer.set("bob")
    assert opened(sealed) == ""
    done_messages.signer.reset(token)


@pytest.mark.parametrize("value", ["", "x", "é" * 40, "\ud800" * 33])
def test_without_a_session_codes_alone_are_shown(value: str):
    assert opened(value) == opened(seal("text")) == ""
    assert opened(seal("password")) == FIXED["password"]
