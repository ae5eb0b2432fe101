"""Passwords: which are refused."""

from __future__ import annotations

import pytest

from db import passwords
from db.passwords import MAX_PASSWORD, WeakPassword, require_strong


@pytest.mark.parametrize("password", ["", "Xk9#mQ2$vL7", "x" * (MAX_PASSWORD + 1)])
def test_a_password_has_12_to_200_characters(password: str):
    with pytest.raises(WeakPassword, match="12 to 200"):
        require_strong(password, "ada")


@pytest.mark.parametrize(
    "password",
    ["123456789012", "aaaaaaaaaaaa", "passwordpassword", "P@ssw0rdP@ssw0rd", "qwertyuiopasdf", "iloveyouforever",
     "ada.lovelace1815", "abcabcabcabcabc", "auraauraaura"],
)  # fmt: skip
def test_a_password_that_is_easy_to_guess_is_refused(password: str):
    with pytest.raises(WeakPassword, match="easy to guess"):
        require_strong(password, "ada.lovelace")


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "vT8#qLm2!xRz", "прогулка лампа восемь", "紫の傘と静かな図書館の朝", "x7" + "kq3 " * 49],
)
def test_a_password_that_is_hard_to_guess_is_accepted(password: str):
    assert passwords.verify(passwords.hash_password(password, "ada"), password)


def test_nobody_has_the_password_of_a_user_without_one():
    for password in ("", passwords.NO_PASSWORD, "x"):
        assert not passwords.verify(passwords.NO_PASSWORD, password)
        assert not passwords.verify(None, password)
