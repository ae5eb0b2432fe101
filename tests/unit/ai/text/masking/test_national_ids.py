from __future__ import annotations

import pytest
from stdnum.es import dni
from stdnum.pl import pesel

from aura.ai.text.masking import mask
from tests.growth import MOST, growth


@pytest.mark.parametrize(
    "text",
    [
        f"DNI {'98765432' + dni.calc_check_digit('98765432')}",
        "id 390.533.447-05",
        f"mam numer {'0207080362' + pesel.calc_check_digit('0207080362')}",
        "codice fiscale BNCGNN70A01F205V",
        "BSN 123456782",
        "NIR 1 84 12 76 451 089 46",
        "NI number AB 12 34 56 C",
        "passport no. X4771209",
        "sort code 10-20-30",
        "Kontonummer 440532000",
        "geboren am 3.2.1980",
        "data di nascita: 3/2/1980",
    ],
)
def test_national_ids_and_documents_are_masked(text: str) -> None:
    assert mask(text).found


@pytest.mark.parametrize(
    "text",
    [
        "ticket 123456789",
        "error 12345678",
        "asset 44051401358",
        "born in the cloud",
        "account locked",
        "serial 12345678A",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert mask(text).found == {}


@pytest.mark.parametrize("piece", ["1", "12 ", "account ", "geb. 1.", "A1 ", "123-45-"])
def test_finding_ids_takes_linear_time(piece: str) -> None:
    assert growth(mask, piece * (12_000 // len(piece))) < MOST
