"""Presets: recognition by the header and the column of each field."""

from __future__ import annotations

import pytest

from aura.desk.importing.presets import FIELDS, column_of_field, listed, presets, recognise, words
from aura.desk.importing.report import InvalidImportFile


@pytest.mark.parametrize("name", ["Caller.Email", "caller_email", " Caller  E-Mail ", "CALLER EMAIL"])
def test_names_are_compared_without_case_and_punctuation(name: str):
    assert words(name) in ("caller email", "caller e mail")


def test_accents_do_not_matter_and_a_number_sign_is_a_name():
    assert words("Priorität") == words("PRIORITAT") == "prioritat"
    assert words(" # ") == "#"


def test_a_share_is_no_date():
    assert column_of_field(["#", "Tracker", "Thema", "% erledigt"], presets()["redmine"], {}).get("resolved_at") is None


@pytest.mark.parametrize(
    ("names", "column"),
    [
        (["Titel", "E-Mailadres van de melder"], "E-Mailadres van de melder"),
        (["Title", "User's e-mail"], "User's e-mail"),
        (["Title", "Agent email", "Cc email"], None),
        (["Title", "Home email", "Work email"], None),
    ],
)
def test_the_only_column_with_an_address_is_that_of_the_requester(names: list[str], column: str | None):
    assert column_of_field(names, presets()["general"], {}).get("email") == column


def test_a_file_without_the_columns_of_a_help_desk_is_general():
    assert recognise(["id", "subject", "email"]).name == "general"
    assert not recognise([]).known


@pytest.mark.parametrize("name", [name for name, preset in presets().items() if preset.known])
def test_every_set_of_columns_of_a_preset_is_recognised_as_it(name: str):
    for columns in presets()[name].header:
        assert recognise(columns).name == name
        assert recognise([column.upper() for column in columns]).name == name


def test_no_preset_names_an_unknown_field():
    for preset in presets().values():
        assert set(preset.columns) <= {*FIELDS, "email"}


def test_a_column_with_an_address_is_beside_the_name():
    columns = column_of_field(["Id", "Requester", "Requester email", "Subject"], presets()["general"], {})

    assert (columns["email"], columns["requester"]) == ("Requester email", "Requester")


def test_a_given_column_has_precedence_and_is_used_once():
    columns = column_of_field(
        ["Subject", "Details", "Email"], presets()["general"], {"title": "details", "requester": "Subject"}
    )

    assert columns == {"title": "Details", "requester": "Subject"}


def test_names_in_a_message_are_short_and_printable():
    text = listed(["a\x1b[2J\n", *["x" * 100] * 50])

    assert text.isprintable()
    assert len(text) < 320


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (["Subject"], {"title": "Titel"}, "title=Titel: no such column among Subject"),
        (["Subject", "Subject (2)"], {}, "two columns are named 'Subject'"),
        (["Subject", "Room", "Room (2)"], {"department": "Room"}, "two columns are named 'Room'"),
    ],
)
def test_columns_that_are_missing_or_repeated_are_refused(names: list[str], given: dict[str, str], message: str):
    with pytest.raises(InvalidImportFile) as refused:
        column_of_field(names, presets()["general"], given)

    assert message in str(refused.value)
