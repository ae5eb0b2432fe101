from __future__ import annotations

import pytest

from aura.ai.text.language import UNDETERMINED, detect, english_or_german, may_be_foreign
from aura.ai.text.normalize import normalize


@pytest.mark.parametrize(
    "text",
    [
        "Drucker kaputt",
        "Ich kann mich nicht anmelden",
        "Passwort vergessen, bitte zurücksetzen",
        "VPN geht nicht",
        "Der Bildschirm meines Laptops bleibt schwarz",
        "Sehr geehrte Damen und Herren, meine Tastatur klemmt.",
    ],
)
def test_german_is_recognised_by_its_words(text: str) -> None:
    assert detect(text) == "de"


@pytest.mark.parametrize(
    "text", ["Printer is broken", "I can't log in", "The VPN is down", "My laptop screen stays black"]
)
def test_english_is_recognised_by_its_words(text: str) -> None:
    assert english_or_german(text) == detect(text) == "en"


@pytest.mark.parametrize("text", ["", "1234 !!", "SAP", "asdf", "hp2", "Outlook VPN Teams", "0x80070005"])
def test_a_text_without_words_of_a_language_is_undetermined(text: str) -> None:
    assert detect(text) == UNDETERMINED


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Mon ordinateur s'éteint tout seul depuis la mise à jour", "fr"),
        ("Mi ordenador se apaga solo desde la última actualización", "es"),
        ("Il mio computer si spegne da solo dopo l'ultimo aggiornamento", "it"),
        ("O meu computador desliga-se sozinho desde a última atualização", "pt"),
        ("Mijn computer valt vanzelf uit sinds de laatste update", "nl"),
        ("Mój komputer sam się wyłącza od ostatniej aktualizacji", "pl"),
        ("Bilgisayarım son güncellemeden beri kendi kendine kapanıyor", "tr"),
        ("Min dator stänger av sig själv sedan senaste uppdateringen", "sv"),
        ("Min computer slukker af sig selv efter den seneste opdatering", "da"),
        ("Tietokoneeni sammuu itsestään viimeisen päivityksen jälkeen", "fi"),
        ("Minu arvuti lülitub pärast viimast uuendust ise välja", "et"),
        ("Můj počítač se po poslední aktualizaci sám vypíná", "cs"),
        ("A számítógépem magától kikapcsol az utolsó frissítés óta", "hu"),
        ("Calculatorul meu se oprește singur de la ultima actualizare", "ro"),
        ("Мой компьютер сам выключается после последнего обновления", "ru"),
        ("Ο υπολογιστής μου κλείνει μόνος του μετά την ενημέρωση", "el"),
        ("更新してからパソコンが勝手に切れます", "ja"),
    ],
)
def test_other_languages_are_recognised_in_ten_words(text: str, language: str) -> None:
    assert english_or_german(text) == "" and detect(text) == language


def test_only_a_text_in_another_language_may_be_foreign() -> None:
    assert may_be_foreign(normalize("Mon ordinateur ne fonctionne plus depuis hier"))
    assert not may_be_foreign(normalize("The computer in the hall is dead since noon"))
