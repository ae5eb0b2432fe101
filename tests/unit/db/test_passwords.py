"""Passwords: which are refused."""

from __future__ import annotations

import time

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


def test_the_time_of_a_hostile_password_does_not_grow_with_its_length():
    def seconds(length: int) -> float:
        begun = time.process_time()
        require_strong(("4@8({[<369&#!1/|0$5+7%2zZ" * 9)[:length], "ada")
        return time.process_time() - begun

    seconds(12)  # loads the tables

    assert seconds(MAX_PASSWORD) < 20 * max(seconds(passwords.JUDGED), 0.01)


def test_a_strong_end_is_enough():
    require_strong("a" * 40 + "vT8#qLm2!xRz", "ada")
