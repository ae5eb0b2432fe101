from __future__ import annotations

from collections.abc import Iterator

import pytest

from aura.ai.text.content import content_of, learned

SLOGAN = "Falk & Sons - drawing the future since 1921, visit our gallery"
MATTERS = [
    "The dock is dead",
    "Outlook hangs",
    "No tone on my phone",
    "I need a licence",
    "The lamp flickers",
    "VPN drops",
]


@pytest.fixture(autouse=True)
def nothing_learned() -> Iterator[None]:
    yield
    learned.use([])


def test_a_line_below_different_reports_of_many_people_is_learned() -> None:
    keys = learned.learn((f"p{at}@example.com", f"{matter}\n\n{SLOGAN}") for at, matter in enumerate(MATTERS))
    assert len(keys) == 1
    assert SLOGAN in content_of(f"The scanner beeps twice\n\n{SLOGAN}")
    learned.use(keys)
    assert content_of(f"The scanner beeps twice\n\n{SLOGAN}") == "The scanner beeps twice"


def test_a_line_of_one_person_and_the_report_of_an_outage_are_not_learned() -> None:
    assert learned.learn(("p@example.com", f"{matter}\n{SLOGAN}") for matter in MATTERS) == []
    outage = "The mail system is down\nNobody in our office can send anything to customers"
    assert learned.learn((f"p{at}@example.com", outage) for at in range(20)) == []
