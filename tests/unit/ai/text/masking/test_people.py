from __future__ import annotations

import pytest

from aura.ai.text.masking import mask
from tests.growth import MOST, growth


@pytest.mark.parametrize(
    "text",
    [
        "Please unlock Mr. Falk",
        "Frau Schöne braucht Zugriff",
        "My name is Bo Falk",
        "The dock is dead.\nBest regards\nBo Falk",
        "The dock is dead.\n\nKind regards,\n\nBo Falk",
        "name: Bo Falk",
        "Send it to Lindenstraße 7, 50667 Köln",
        "Ship to 12 Harbour Road",
        "Livrer au 3 rue de la Gare, 69001 Lyon",
        "ul. Długa 5, 80-831 Gdańsk",
    ],
)
def test_names_and_addresses_are_masked_on_demand(text: str) -> None:
    assert {"name", "address"} & mask(text, names=True).found.keys()
    assert not {"name", "address"} & mask(text).found.keys()


@pytest.mark.parametrize("text", ["Excel shows an error in Street View", "The Main Switch is off", "Room 12 Berlin"])
def test_other_capitals_stay(text: str) -> None:
    assert mask(text, names=True).text == text


@pytest.mark.parametrize("piece", ["Mr. A", "Aa Bb ", "rue de ", "12 Aa "])
def test_finding_people_takes_linear_time(piece: str) -> None:
    assert growth(lambda text: mask(text, names=True), piece * (8_000 // len(piece))) < MOST
