from __future__ import annotations

import pytest

from aura.ai.text.content.footers import is_banner, is_footer, may_have_footer, statements

NOTICE = "this message is confidential and intended for the addressee only"


def test_a_paragraph_with_several_statements_is_a_footer() -> None:
    assert {"message", "secret", "reader"} <= statements(NOTICE)
    assert may_have_footer(NOTICE) and is_footer(NOTICE)


@pytest.mark.parametrize(
    "text", ["this message is slow", "the report is confidential", "my confidential mail went to the wrong recipient"]
)
def test_one_statement_and_a_statement_of_the_author_are_no_footer(text: str) -> None:
    assert not is_footer(text)


def test_below_a_footer_one_statement_is_enough() -> None:
    line = "any unauthorised use is prohibited"
    assert not is_footer(line) and is_footer(line, below_footer=True)


def test_a_banner_says_where_a_mail_comes_from() -> None:
    assert is_banner("caution: this email originated from outside the company")
    assert not is_banner("i clicked on a link in an external email")


def test_a_report_with_the_words_of_a_footer_is_none() -> None:
    assert not is_footer("i sent a confidential file to the wrong addressee", below_footer=False)
    assert not is_footer("my mail is confidential and strictly prohibited from leaving, it went out in error")
