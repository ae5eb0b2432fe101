"""The answer of a token server hides its tokens; settings and error codes of the providers."""

from __future__ import annotations

import pytest

from aura.oauth.answer import Answer, missing, required, shown
from aura.settings import SettingsError
from tests.unit.oauth.conftest import Configured


def test_the_representation_of_an_answer_contains_no_token():
    assert repr(Answer("access-secret", 3600, "refresh-secret")) == "Answer(expires_in=3600)"


def test_a_required_setting_is_returned_as_text(configured: Configured):
    settings = configured(oauth_client_id="desk", oauth_client_secret="hunter2")

    assert required(settings, "oauth_client_id", "unused") == "desk"
    assert required(settings, "oauth_client_secret", "unused") == "hunter2"


def test_an_empty_required_setting_is_refused_with_its_variable_and_the_reason(configured: Configured):
    with pytest.raises(SettingsError, match=r"^AURA_OAUTH_CLIENT_ID: not set; the provider needs it$"):
        required(configured(oauth_client_id=""), "oauth_client_id", "the provider needs it")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("invalid_grant", "invalid_grant"),
        ("AADSTS7000215", "AADSTS7000215"),
        ("interaction-required.v2", "interaction-required.v2"),
        ("the secret hunter2 is wrong", "an unknown error"),
        ("<b>", "an unknown error"),
        ("invalid\ngrant", "an unknown error"),
        ("", "an unknown error"),
        ({"error": "x"}, "an unknown error"),
        ("x" * 100, "x" * 60),
    ],
)
def test_an_error_code_is_shown_as_one_short_word(code: object, text: str):
    assert shown(code) == text


def test_a_missing_library_is_named_with_the_extra_that_installs_it():
    assert str(missing("msal")) == "OAuth needs msal: pip install 'aura-desk[oauth]'"
