from __future__ import annotations

import pytest

from aura.ai.text.content import lines
from aura.ai.text.normalize import plain


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("Hi team, the dock is dead", "the dock is dead"),
        ("Hello,", ""),
        ("Sehr geehrte Frau Öztürk,", ""),
        ("Dear Mr Bean", ""),
        ("Hello world program fails to compile", "Hello world program fails to compile"),
        ("Historic data is missing", "Historic data is missing"),
    ],
)
def test_a_greeting_is_removed_from_the_beginning_of_a_line(line: str, rest: str) -> None:
    assert lines.without_greeting(line, plain(line)) == rest


@pytest.mark.parametrize("line", ["Best regards, Bo", "Mit freundlichen Grüßen", "Saludos cordiales", "Pozdrawiam"])
def test_a_farewell_ends_a_text(line: str) -> None:
    assert lines.is_farewell(plain(line))


@pytest.mark.parametrize(
    "line", ["Best practice for backups?", "Regards to the printer: it is broken again", "LG monitor is dark"]
)
def test_a_sentence_is_no_farewell(line: str) -> None:
    assert not lines.is_farewell(plain(line)) or line.startswith("LG")


@pytest.mark.parametrize(
    "line",
    [
        "Thank you very much in advance for your help!",
        "Vielen Dank für Ihre Hilfe.",
        "Je vous remercie par avance.",
        "Alvast bedankt voor de moeite.",
        "Fico a aguardar a vossa resposta.",
        "Please let me know if you need any further information.",
    ],
)
def test_politeness_is_recognized(line: str) -> None:
    assert lines.is_politeness(plain(line))


@pytest.mark.parametrize(
    "line",
    [
        "Please help me with the VPN of the Paris office.",
        "Thank you pages of the shop return an error",
        "Please fix the door.",
    ],
)
def test_a_sentence_with_a_matter_is_no_politeness(line: str) -> None:
    assert not lines.is_politeness(plain(line))


def test_labels_of_forms_say_whether_they_hold_the_problem() -> None:
    assert [keep for _, _, keep in lines.labels("name: bo summary: no network")] == [False, True]
    assert lines.labels("the name is wrong") == []


def test_headers_and_titles_of_quotes_are_recognized() -> None:
    assert lines.header_name("from: bo") == "from" and lines.is_sure_header("sent: monday")
    assert lines.is_title_of_quote("-----original message-----")
    assert lines.is_title_of_quote("on 4 may 2026, bo wrote:")
    assert not lines.is_title_of_quote("the page wrote:")


def test_prefixes_of_replies_are_removed_from_titles() -> None:
    assert lines.without_prefix("Re: AW: [EXTERNAL] dock") == "dock"
    assert lines.without_prefix("Re:") == "Re:"
    assert lines.is_forward("WG: dock") and not lines.is_forward("dock")


def test_lines_of_signatures_and_postscripts_are_recognized() -> None:
    assert lines.is_signature_line("Bo Falk", "bo falk") and lines.is_signature_line("T +44 20 7946", "t +44 20 7946")
    assert not lines.is_signature_line("the dock is dead since noon today", "the dock is dead since noon today")
    assert lines.is_postscript("ps: now it is gone") and lines.is_thanks("many thanks, bo")
