from __future__ import annotations

import pytest

from aura.ai.text.circumstances import circumstances, find
from aura.ai.text.normalize import normalize
from aura.ai.text.priority_rules import assess, first_priority
from bench import priorities
from tests.growth import MOST, growth


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The gateway was down last week", "past"),
        ("Das Gateway läuft wieder", "past"),
        ("Le serveur est de nouveau accessible", "past"),
        ("How do I see whether the gateway is down?", "question"),
        ("Wird das Gateway am Samstag abgeschaltet?", "question"),
        ("The gateway is not down", "negated"),
        ("Es wurden keine Dateien gelöscht", "negated"),
        ("A drill: the gateway is down", "planned"),
        ("The staging server is down", "test"),
        ("Die Testdatenbank ist ausgefallen", "test"),
    ],
)
def test_a_sentence_that_reports_nothing_now_is_damped(text: str, kind: str) -> None:
    found = circumstances(normalize(text))
    assert [each for each, _ in found.damped] == [kind] and found.reported == ""


@pytest.mark.parametrize(
    "text",
    [
        "The gateway was down last week and is down again",
        "Seit gestern ist das Gateway ausgefallen",
        "The staging server is down and all customers see errors",
        "The gateway is down",
    ],
)
def test_a_sentence_about_now_is_reported(text: str) -> None:
    assert circumstances(normalize(text)).reported == normalize(text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("safety", "smoke comes out of the rack"),
        ("safety", "aus dem rack kommt rauch"),
        ("safety", "la batterie gonflee"),
        ("vip", "our ceo"),
        ("moment", "the meeting begins in ten minutes"),
        ("trifle", "my wallpaper is gone"),
    ],
)
def test_phrases_of_danger_people_and_trifles_are_found(kind: str, text: str) -> None:
    assert find(kind, text)


@pytest.mark.parametrize(
    "text",
    [
        "Toda la planta está sin red y la producción está parada",
        "Tutta l'azienda è senza rete, la produzione è ferma",
        "A fábrica inteira está sem rede e a produção está parada",
        "De hele vestiging zit zonder netwerk, de productie ligt stil",
        "Cały zakład nie ma sieci, produkcja stoi",
        "Toute l'usine est sans réseau, la production est arrêtée",
        "Das ganze Werk ist ohne Netz, die Produktion steht",
        "The whole plant is without network, production has stopped",
    ],
)
def test_the_outage_of_a_site_is_critical_in_eight_languages(text: str) -> None:
    assert first_priority(text, "") == "critical"


def test_bounds_hold_a_priority() -> None:
    assert assess("my wallpaper is gone").bounded("critical") in ("low", "medium")
    assert assess("smoke comes out of the rack").bounded("low") == "high"
    assert assess("the test database is down").bounded("critical") == "medium"


def test_the_pairs_of_priorities_are_balanced_and_divided() -> None:
    pairs = priorities.read()
    assert len(pairs) >= 300 and {pair.language for pair in pairs} == {"en", "de"}
    kinds = {pair.kind for pair in pairs}
    assert len(kinds) >= 11 and all(sum(pair.kind == kind for pair in pairs) >= 20 for kind in kinds)
    assert {pair.part for pair in pairs} == set(priorities.PARTS)


@pytest.mark.parametrize("piece", ["was ", "no ", "is not ", "how ", "kein ", "the test ", "in 5 ", "alarm "])
def test_finding_circumstances_takes_linear_time(piece: str) -> None:
    assert growth(circumstances, piece * 2_000) < MOST
