"""Similar resolved tickets on both databases: ranking, indexing, misspellings and hostile queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text, update

from aura.ai.text.masking import mask
from db import corrections, similar, tickets, transaction
from db.database import dispose, engine, make_engine
from db.migrate import migrate
from db.models import Ticket
from db.new_tickets import NewTicket
from db.similar import SimilarTicket, any_resolved, estimate_resolution, find_similar, index_resolved

VPN = ("VPN drops every ten minutes", "From home, with Wi-Fi and with a cable. AnyConnect shows 'session expired'.")
PAST = [
    (VPN, "Set the idle timeout of the gateway to eight hours."),
    (("VPN client does not connect", "AnyConnect hangs at 'connecting', on Wi-Fi too."), "Reinstalled AnyConnect."),
    (("Printer on floor 3 jams", "Paper jam although there is none."), "Changed the roller."),
    (("Drucker druckt nicht", "Der Drucker im zweiten Stock druckt nichts mehr."), "Treiber neu installiert."),
    (("Outlook calendar is empty", "All appointments are gone since the update."), "Rebuilt the profile."),
]


def add(title: str, description: str = "", resolution: str | None = None, hours: float = 4.0) -> int:
    with transaction() as session:
        [ticket] = tickets.create(session, "test", [(NewTicket(title=title, description=description), {})])
    if resolution is not None:
        resolve(ticket, resolution, hours)
    return ticket


def resolve(ticket: int, resolution: str = "done", hours: float = 4.0) -> None:
    with transaction() as session:
        corrections.resolve(session, ticket, resolution)
        began = datetime.now(UTC) - timedelta(days=1)
        times = {"created_at": began, "resolved_at": began + timedelta(hours=hours)}
        session.execute(update(Ticket).where(Ticket.id == ticket).values(times))
        index_resolved(session, [ticket])


def like(title: str, description: str = "", each: int = 10) -> list[SimilarTicket]:
    with transaction() as session:
        return find_similar(session, [(0, f"{title}\n{description}")], each).get(0, [])


@pytest.fixture
def past(database: str) -> list[int]:
    """Some resolved tickets, their ids."""
    return [add(*text, resolution) for text, resolution in PAST]


def test_the_most_similar_ticket_comes_first_with_its_resolution(past: list[int]):
    found = like("VPN disconnects all the time", "I work from home with Wi-Fi; AnyConnect says session expired.")

    assert [one.id for one in found] == past[:2]
    assert found[0] == SimilarTicket(past[0], VPN[0], "", found[0].score, PAST[0][1], 4.0)
    assert 1 >= found[0].score > found[1].score >= similar.MIN_SCORE


def test_a_ticket_of_another_topic_has_no_similar_tickets(past: list[int]):
    assert like("Coffee machine leaks", "Water all over the kitchen.") == []
    assert like("Minutes of the meeting are missing", "The SharePoint folder of the board is empty, archive too.") == []
    assert like("", "") == []
    assert like("Hello, please help, it does not work", "Danke!") == []


def test_similar_tickets_of_a_batch_are_those_of_each_ticket_in_one_statement(past: list[int]):
    with transaction() as session:
        statements: list[str] = []
        event.listen(session.connection(), "before_cursor_execute", lambda *a: statements.append(a[2]))
        found = find_similar(
            session, [(10, "VPN drops"), (11, "Printer jams on floor 3"), (12, "Kaffee"), (past[0], "\n".join(VPN))]
        )

    assert [one.id for one in found[10]][:1] == past[:1]
    assert [one.id for one in found[11]] == [past[2]]
    assert 12 not in found
    assert past[0] not in [one.id for one in found[past[0]]]  # no ticket is like itself
    asked = [each for each in statements if "MATCH" in each or "ts_rank" in each]
    assert len(asked) == (1 if engine().dialect.name == "postgresql" else 4)


def test_similar_tickets_are_limited_to_the_wanted_number(past: list[int]):
    for _ in range(15):
        add(*VPN, "again")

    assert len(like(*VPN, each=3)) == 3
    assert len(like(*VPN)) == 10


def test_without_resolved_tickets_no_search_runs(database: str):
    open_ticket = add(*VPN)
    with transaction() as session:
        assert not any_resolved(session)
        statements: list[str] = []
        event.listen(session.connection(), "before_cursor_execute", lambda *a: statements.append(a[2]))
        assert find_similar(session, [(n, f"VPN drops {n}") for n in range(100)]) == {}
    assert len(statements) == 1

    resolve(open_ticket)
    with transaction() as session:
        assert any_resolved(session)


def test_a_new_ticket_touches_no_text_index(database: str):
    add("Some ticket")

    with engine().connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM resolved_texts")) == 0
        if connection.dialect.name == "postgresql":
            indexes = connection.scalars(text("SELECT indexdef FROM pg_indexes WHERE tablename = 'tickets'")).all()
            assert indexes
            assert not [each for each in indexes if "gin" in each.lower()]


def test_a_ticket_indexed_twice_changes_nothing_and_a_changed_text_is_found_by_its_new_words(past: list[int]):
    with transaction() as session:
        index_resolved(session, past)
        index_resolved(session, [])
    assert [one.id for one in like("Printer jams on floor 3", "Paper jam")] == [past[2]]

    with transaction() as session:
        session.execute(update(Ticket).where(Ticket.id == past[2]).values(title="Scanner", description="is blind"))
        index_resolved(session, [past[2]])
    assert like("Printer jams on floor 3", "Paper jam") == []
    assert [one.id for one in like("Scanner blind")] == [past[2]]


def test_a_reopened_ticket_is_no_similar_ticket(past: list[int]):
    with transaction() as session:
        session.execute(update(Ticket).where(Ticket.id == past[2]).values(status="open", resolved_at=None))

    assert like("Printer jams on floor 3", "Paper jam") == []


def test_word_forms_and_compounds_are_found(past: list[int]):
    assert [one.id for one in like("Drucker im Stock 2: Druckerproblem")] == [past[3]]
    assert past[1] in [one.id for one in like("No VPN connection, AnyConnect keeps connecting")]


@pytest.mark.integration
def test_misspelled_words_are_found_by_their_trigrams(postgres: str):
    printer = add(*PAST[3][0], "Treiber neu installiert.")
    add(*VPN, "x")

    [found] = like("Druker drukt nicht")
    assert found.id == printer
    assert similar.MIN_TRIGRAM_SCORE <= found.score < 1


@pytest.mark.integration
def test_without_pg_trgm_whole_words_are_found(own_postgres: str):
    printer = add(*PAST[3][0], "Treiber neu installiert.")
    with engine().begin() as connection:
        connection.execute(text("DROP EXTENSION pg_trgm CASCADE"))

    assert like("Druker drukt nicht") == []
    assert [one.id for one in like("Drucker druckt nicht")] == [printer]


@pytest.fixture
def humble(postgres_url: str, configure: Callable[..., Any]) -> Iterator[None]:
    """An empty database in which the settings' user may create tables, and no extension."""
    owner = make_engine(postgres_url.replace("postgresql:", "postgresql+psycopg2:"))
    with owner.begin() as connection:
        connection.execute(text("CREATE ROLE humble LOGIN"))
        connection.execute(text("GRANT CREATE ON SCHEMA public TO humble"))
    configure(DATABASE_URL=postgres_url.replace("//postgres@", "//humble@"))
    yield
    dispose()
    with owner.begin() as connection:
        connection.execute(text("DROP OWNED BY humble"))
        connection.execute(text("DROP ROLE humble"))
    owner.dispose()


@pytest.mark.integration
@pytest.mark.usefixtures("humble")
def test_a_user_without_the_right_to_create_extensions_can_migrate():
    migrate()
    printer = add(*PAST[3][0], "Treiber neu installiert.")

    with engine().connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'")) == 0
    assert [one.id for one in like("Drucker druckt nicht")] == [printer]


HOSTILE = [
    "'", '"', "vpn' | 'x", "vpn & !drops", "vpn:*", "(vpn", "vpn)", "NOT vpn", "NEAR(vpn drops)", "words:vpn", "vpn*", "--", ";",
    "\\", "\\'", "$$", "%", "_", "\0vpn\0", "vpn " * 25_000, "x" * 100_000, "'" * 50_000, "\ud800vpn", "vpn <-> drops",
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_query_is_searched_as_words(past: list[int], hostile: str):
    found = like(hostile)

    assert {one.id for one in found} <= set(past[:2])
    assert like(*VPN)[0].id == past[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_any_text_is_a_valid_query(sqlite: str, asked: str):
    with transaction() as session:
        if not any_resolved(session):
            add(*VPN, "x")
    like(asked)


@pytest.mark.integration
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_any_text_is_a_valid_query_on_postgresql(postgres: str, asked: str):
    with transaction() as session:
        if not any_resolved(session):
            add(*VPN, "x")
    like(asked)


def test_masked_text_is_not_indexed(database: str):
    ticket = add("VPN, password: zugspitze", "x")
    with transaction() as session:
        index_resolved(session, [ticket], lambda text: mask(text).text)
        held = session.execute(text("SELECT * FROM resolved_texts")).one()

    assert "zugspit" not in str(held)
    assert "vpn" in str(held)


def test_common_words_are_not_searched_beside_rare_words(database: str):
    printers = [add(f"Printer jams, tray {n}", "", "x") for n in range(similar.MAX_MATCHES + 5)]
    zebra = add("Zebra printer jams", "", "Cleaned it.")
    if engine().dialect.name == "postgresql":
        with engine().begin() as connection:
            connection.execute(text("ANALYZE resolved_texts"))

    with transaction() as session:
        asked = similar._rare_terms(session, {1: ["printer", "zebra"], 2: ["printer"], 3: ["unheard"]})
    assert asked == {1: ["zebra"], 2: ["printer"], 3: ["unheard"]}
    assert [one.id for one in like("Zebra printer")] == [zebra]
    assert {one.id for one in like("Printer jams")} <= {*printers, zebra}


def test_an_estimate_needs_five_tickets_and_has_the_median_and_the_ninth_decile():
    assert estimate_resolution([1.0] * 4) is None
    assert estimate_resolution([1, 2, 3, 4, 5]) == (3.0, 4.6)
    assert estimate_resolution([2.0] * 10) == (2.0, 2.0)
    low, high = estimate_resolution([0.5, 100, 1, 2, 3, 1.5]) or (0, 0)
    assert low < high
