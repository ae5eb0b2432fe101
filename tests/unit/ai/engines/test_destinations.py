"""A model's words lead to no other place, and ordinary words stay as they are."""

from __future__ import annotations

import re

import pytest

from aura.ai.engines.destinations import without_commands, without_destinations
from aura.ai.engines.guardrails import safe_text
from tests.conftest import ROOT
from tests.growth import MOST, growth


def lines(name: str) -> list[str]:
    return (ROOT / "tests/data" / name).read_text().splitlines()[1:]


#: What a mail program, a chat or a person may follow: a scheme, a network path, a name with an ending, an IP, a program.
FOLLOWED = re.compile(
    r"[a-z]{2}:\S|[\\/]{2}|\w\.[^\W\d_]{2,}|\d+(?:\.\w+){3}|::|@|mshta|powershell|pwsh|curl|wget|rundll32|regsvr32|certutil|"
    r"\bcmd\b|\biex\b|invoke-|msiexec|\|\s*(?:ba)?sh|\bwin(?:dows)?\W?(?:key|taste)?\W{1,3}r\b|net use|reg add|format c|rm -",
    re.IGNORECASE,
)


@pytest.mark.parametrize("text", lines("lures.txt"))
def test_a_lure_leads_nowhere(text: str):
    for shown in (safe_text(text, 400), safe_text(f"The VPN is down. Please try {text} and report back.", 400)):
        assert not FOLLOWED.search(shown), shown


def test_the_corpora_are_large_enough():
    assert len(lines("lures.txt")) >= 100
    assert len(lines("ordinary_reasons.txt")) >= 30


@pytest.mark.parametrize("text", lines("ordinary_reasons.txt"))
def test_an_ordinary_reason_stays_as_it_is(text: str):
    assert safe_text(text, 400) == text


def test_the_rest_of_a_sentence_stays():
    shown = safe_text("The VPN is down. Press Win+R and type mshta trap.page. It failed twice.", 400)
    assert shown == "The VPN is down. Press [command]. It failed twice."


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        "a.",
        "a:",
        "\\",
        "/",
        "win ",
        "run ",
        "type x ",
        "1.",
        "a-",
        "[",
        "in the ",
        "::",
        "0x0.",
        "cmd ",
        "x dot ",
        "|",
        "paste ",
    ],
)
def test_long_texts_take_linear_time(piece: str):
    text = piece * (20_000 // len(piece))
    assert growth(lambda part: without_destinations(without_commands(part)), text) < MOST
