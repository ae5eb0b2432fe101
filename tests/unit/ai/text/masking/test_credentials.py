"""Passwords, keys and codes in commands, tables, addresses, headers and sentences."""

from __future__ import annotations

import json

import pytest

from aura.ai.text.masking import mask
from aura.ai.text.masking.credentials import credentials
from tests.conftest import ROOT
from tests.growth import MOST, growth

CORPUS = [json.loads(line) for line in (ROOT / "tests/data/secrets.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("case", [each for each in CORPUS if "secret" in each], ids=lambda case: case["text"][:40])
def test_a_secret_is_masked_in_each_form(case: dict[str, str]):
    assert case["secret"] not in mask(case["text"]).text
    assert case["secret"] not in mask(f"Hello,\n{case['text']}\nThanks, Ada").text


@pytest.mark.parametrize("case", [each for each in CORPUS if "secret" not in each], ids=lambda case: case["text"][:40])
def test_a_text_without_a_secret_stays(case: dict[str, str]):
    assert mask(case["text"]).text == case["text"]


def test_the_rest_of_a_table_stays():
    text = "Name\tRoom\tPassword\njdoe\t2.17\tqwerty\nbob\t3.01\tblue cat\n\nThe printer is broken\n"
    assert mask(text).text == text.replace("qwerty", "[password 1]").replace("blue cat", "[password 2]")


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    ["password ", "is my password ", "use x as ", "login: a ", "mysql -", "net use ", "cookie: ", "session=", "backup code 1a ",
     "123456-", "A1B2-", "?sig=", "hooks.", "x/y/hook/", "passphrase ", "\tpassword\n", "|pin|\n|a|\n", "wlan key: a ", "<td>",
     "curl -u a", "abc / ", "'", "password from aaaa to ", "with aaaa ", "docker login ", "totp secret a "],
)  # fmt: skip
def test_long_texts_take_linear_time(piece: str):
    text = piece * (40_000 // len(piece))
    assert growth(lambda part: list(credentials(part)), text) < MOST
