"""Names of prepared statements."""

from __future__ import annotations

from db.postgresql import statement_name


def test_a_name_of_a_statement_is_that_of_its_text_and_of_the_options():
    names = {statement_name(*given) for given in (("SELECT 1",), ("SELECT 2",), ("SELECT 1", "-c search_path=a"))}

    assert len(names) == 3
    assert statement_name("SELECT 1") == statement_name("SELECT 1")
    assert all(len(name) < 50 for name in names)
