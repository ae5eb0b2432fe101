from __future__ import annotations

import pytest

from aura.ai.text.language import detect


@pytest.mark.parametrize(
    "text",
    [
        "Drucker kaputt",
        "Ich kann mich nicht anmelden",
        "Passwort vergessen, bitte zurücksetzen",
        "Outlook öffnet sich nicht",
        "VPN geht nicht",
        "Der Bildschirm meines Laptops bleibt schwarz",
        "Sehr geehrte Damen und Herren, meine Tastatur klemmt.",
    ],
)
def test_german_is_recognised(text: str) -> None:
    assert detect(text) == "de"


@pytest.mark.parametrize(
    "text",
    [
        "Printer is broken",
        "I can't log in",
        "Password reset",
        "The VPN is down",
        "My laptop screen stays black",
        "",
        "1234 !!",
        "SAP",
    ],
)
def test_every_other_language_counts_as_english(text: str) -> None:
    assert detect(text) == "en"
