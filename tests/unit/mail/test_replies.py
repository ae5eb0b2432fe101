"""Quotes and signatures are removed from replies, and nothing else.

tests/data/replies: `cut-*` are replies of mail programs in 24 languages, `keep-*` are texts of people that look like quotes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.mail.parse import parse_mail
from aura.mail.replies import Conversation, is_forward, plain_subject, reply_text, strip_quotes
from tests.growth import MOST, growth
from tests.unit.mail.test_parse import mail

REPLIES = Path(__file__).parents[2] / "data" / "replies"
KEPT = sorted(REPLIES.glob("keep-*.eml"))
#: Quotes of mail programs, below which a person's text must stay as it is.
QUOTES = {
    "gmail": "On Mon, Mar 16, 2026 at 4:05 PM Help desk <help@example.com> wrote:\n\n> Hello Mira,\n>\n> Which badge?",
    "thunderbird": "Am 16.03.26 um 16:05 schrieb Help desk:\n> Hallo\n> Welcher?",
    "outlook": "From: Help desk <help@example.com>\nSent: Monday, March 16, 2026 4:05 PM\nTo: Mira Holm <mira@example.net>\n"
    "Subject: [Aura #7] Badge reader\n\nHello Mira,\nWhich badge?",
    "original": "-----Ursprüngliche Nachricht-----\nVon: Help desk\nGesendet: Montag\nAn: Mira\nBetreff: Badge reader\n\nHello",
    "yahoo": "On Monday, 16 March 2026 at 16:05:11 GMT+1, Help desk <help@example.com> wrote:\n\n Hello\n Which badge?",
    "apple": "Sent from my iPhone\n\n> On 16 Mar 2026, at 16:05, Help desk <help@example.com> wrote:\n>\n> Hello",
}


def words(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("path", sorted(REPLIES.glob("*.eml")), ids=lambda path: path.stem)
def test_the_reply_of_each_mail_program_loses_its_quotes_and_signature(path: Path):
    assert words(reply_text(parse_mail(path.read_bytes()))) == words(path.with_suffix(".txt").read_text("utf-8"))


@pytest.mark.parametrize("quote", QUOTES)
@pytest.mark.parametrize("path", [each for each in KEPT if "html" not in each.name], ids=lambda path: path.stem)
def test_a_text_that_looks_like_a_quote_stays_above_a_real_quote(path: Path, quote: str):
    parsed = parse_mail(path.read_bytes())
    reply = dataclasses.replace(parsed, text=f"{parsed.text}\n\n{QUOTES[quote]}")

    assert reply_text(reply).strip() == parsed.text.strip()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain", "Since this morning, from home, on Wi-Fi and cable."),
        ("gmail_reply", "It is worse now: every two minutes, and the café Wi-Fi as well."),
        ("outlook_reply", "Jetzt druckt er gar nicht mehr. Grüße"),
        ("inline_answers", "The grey one.\n\nSince Monday."),
    ],
)
def test_the_quoted_mail_and_the_signature_are_removed(name: str, text: str):
    assert words(reply_text(parse_mail(mail(name)))) == words(text)


@pytest.mark.parametrize(
    "quote",
    [
        # the weekday is no first person, and quote marks are missing
        "On Mon, Mar 16, 2026 at 4:05 PM Help desk <help@example.com> wrote:\n\nHello",
        # a date, and the display name instead of an address
        "On 16/03/2026 16:05, Help desk wrote:\n\nHello",
        "Am 16.03.26 um 16:05 schrieb Help desk:\n\nHallo",
        # a date and an address without a verb
        '16.03.2026, 16:05, "Help desk" <help@example.com>:\n\nПривет',
        "2026年3月16日(月) 16:05 Help desk <help@example.com>:\n\nこんにちは",
        # verbs in other places and languages
        "Quoting Help desk :\n\n> Hello",
        "Вы писали 16 марта 2026 г., 16:05:00:\n\n> Привет",
        "pirmd., 2026. g. 16. marts, plkst. 16:05 — lietotājs Help desk (<help@example.com>) rakstīja:\n\nSveiki",
        "در تاریخ دوشنبه ۱۶ مارس ۲۰۲۶، ۱۶:۰۵ Help desk <help@example.com> نوشت:\n\n> سلام",
        "Dne 16. 3. 26 v 16:05 Help desk napsal(a):\n\n> Dobrý den",
        # wrapped behind the name
        "Help desk\n<help@example.com> ezt írta (időpont: 2026. márc. 16., H, 16:05):\n\n> Jó napot",
        # titles above: Proton's hyphens, a hyphen within a word
        "‐‐‐ Original Message ‐‐‐\nOn Monday, March 16th, 2026 at 4:05 PM, Help desk <help@example.com> wrote:\n\n> Hello",
        "---- Původní e-mail ----\nOd: Help desk <help@example.com>\nKomu: mira@example.net\nDatum: 16. 3. 2026\n\nDobrý",
        # headers without blanks, without colons, within quote marks
        "De :Help desk\nEnvoyé le :lundi 16 mars 2026 16:05\nÀ :Mira\nObjet :Badge reader\n\nBonjour",
        '--- Original Message ---\nFrom "Help desk" <help@example.com>\nTo Mira\nDate 3/16/2026\nSubject Badge reader\n\nHi',
        "> Message du 16/03/26 16:05\n> De : Help desk <help@example.com>\n> A : Mira\n> Objet : Badge reader\n>\n> Bonjour",
        "Kimden: Help desk <help@example.com>\nGönderildi: 16 Mart 2026\nKime: Mira\nKonu: Badge reader\n\nMerhaba",
        "寄件者: Help desk <help@example.com>\n寄件日期: 2026年3月16日\n收件者: Mira\n主旨: Badge reader\n\n您好",
        "Από: Help desk <help@example.com>\nΑπεστάλη: 16 Μαρτίου 2026\nΠρος: Mira\nΘέμα: Badge reader\n\nΓεια",
        "Sent from my Verizon, Samsung Galaxy smartphone",
        "나의 iPhone에서 보냄",
        "-- \nSent from my iPhone",
    ],
)  # fmt: skip
def test_quotes_and_lines_of_many_programs_are_removed_and_nothing_above_them(quote: str):
    conversation = Conversation(
        frozenset({"help@example.com"}), frozenset({"help desk"}), "badge reader", frozenset({"mira"})
    )

    assert strip_quotes(f"On Monday it opened.\n\nMon 16: not any more.\n\n{quote}", conversation) == (
        "On Monday it opened.\n\nMon 16: not any more."
    )


@pytest.mark.parametrize(
    "text",
    [
        "On 16/03/2026 at 16:05, the reader wrote:\n\nE17 closed\n\nWhat is it?",
        "16.03.2026, 16:05, Otto <otto@example.org>:\n\nThe gate is open.\n\nIs he right?",
        "From gate 5\nTo gate 7\nDate 16 March\nSubject badges\n\nPlease move it.",
        "> De : Otto <otto@example.org>\n> A : mira@example.net\n> Objet : Keys\n>\n> Bonjour\n\nIs he right?",
        "Sent from my Verizon, it fails; from my Samsung, it works.",
    ],
)
def test_a_text_of_other_people_stays_in_a_reply(text: str):
    conversation = Conversation(frozenset({"help@example.com"}), frozenset({"help desk"}), "badge reader")

    assert strip_quotes(text, conversation) == text


def test_a_reply_of_quotes_only_is_returned_whole():
    text = "On 16/03/2026 16:05, Help desk wrote:\n> Does it work?\n> Yes"

    assert strip_quotes(text) == text


def test_quote_marks_without_an_attribution_stay():
    assert strip_quotes("I typed\n> status\n> restart\nand nothing happened.") == (
        "I typed\n> status\n> restart\nand nothing happened."
    )


def test_quote_marks_without_an_attribution_are_removed_from_a_text_of_the_ticket():
    conversation = Conversation(texts=("Hello,\n\nwe have received your ticket about the printer.", "Yes"))

    assert strip_quotes("It works.\n\n> Hello,\n>\n> we have received your\n> ticket", conversation) == "It works."
    assert strip_quotes("No.\n> Yes", conversation) == "No."
    for text in ("I typed\n> ticket\nand it failed.", "It prints\n> we have received nothing at all\nall day."):
        assert strip_quotes(text, conversation) == text


def test_a_text_of_the_ticket_without_quote_marks_ends_where_the_person_writes():
    conversation = Conversation(
        texts=("Hello,\n\nwe have received your ticket about the printer.",), addresses=frozenset("x")
    )
    head = "It works.\n\nOn 30.11.2026 08:00, Help desk wrote:\n\n"

    assert strip_quotes(f"{head}Hello,\nwe have received your ticket\nabout the printer.", conversation) == "It works."
    assert strip_quotes(f"{head}Hello,\nwe have received your ticket\n\nTwice, in fact.", conversation) == (
        "It works.\n\nTwice, in fact."
    )
    assert strip_quotes(f"{head}Nothing works at all.", conversation).endswith("Nothing works at all.")


@pytest.mark.parametrize(
    "unit", ["> a\n\n", "On 16 March 2026 Ann wrote:\n\nhello there, how is the printer?\n", "hello\n"]
)
def test_a_reply_is_compared_with_its_ticket_in_linear_time(unit: str):
    conversation = Conversation(texts=("hello there, how is the printer?\n" * 3000,))

    assert growth(lambda text: strip_quotes(text, conversation), unit * (200_000 // len(unit))) < MOST


def test_a_sentence_like_an_attribution_stays():
    text = "On Monday I wrote to you.\nFrom: here on it fails.\n-- not a signature\nIt still fails."

    assert strip_quotes(text) == text


def test_a_header_block_of_another_conversation_stays():
    block = "From: Shop <shop@example.org>\nSent: Monday, March 16, 2026 4:05 PM\nTo: All\nSubject: Sale\n\nBuy now."
    text = f"Is this a fraud?\n\n{block}"
    conversation = Conversation(addresses=frozenset({"help@example.com"}), subject="badge reader")

    assert strip_quotes(text, conversation) == text
    assert strip_quotes(text, dataclasses.replace(conversation, subject="sale")) == "Is this a fraud?"


@pytest.mark.parametrize(
    "top", ["See my answers below in red.", "Meine Antworten unten in Rot.", "Réponses ci-dessous."]
)
def test_a_reply_that_announces_answers_inside_the_quote_stays_whole(top: str):
    conversation = Conversation(addresses=frozenset({"help@example.com"}))
    text = f"{top}\n\n{QUOTES['outlook']}\nThe blue one."

    assert strip_quotes(text, conversation) == text
    assert strip_quotes(text.replace(top, "Blue."), conversation) == "Blue."


def test_an_answer_below_a_text_of_the_ticket_stays():
    conversation = Conversation(frozenset({"help@example.com"}), texts=("Which badge do you use at the gate?",))
    head = "On Monday, 16 March 2026 at 16:05:11 GMT+1, Help desk <help@example.com> wrote:"

    assert (
        strip_quotes(f"{head}\n\n Which badge do you use\n at the gate?\n\nThe blue one.", conversation)
        == "The blue one."
    )


def test_a_forwarded_mail_with_the_same_subject_stays():
    raw = (
        "From: Mira <mira@example.net>\nTo: help@example.com\nSubject: Fwd: [Aura #7] Badge reader\n\nThe supplier answers:\n\n"
        "From: Supplier <info@supplier.example>\nSent: Monday\nTo: Mira\nSubject: RE: [Aura #7] Badge reader\n\nOn Friday.\n"
    )

    assert "On Friday." in reply_text(parse_mail(raw.encode()))


@pytest.mark.parametrize(
    ("subject", "plain"),
    [
        ("Re: AW: [Aura #7] Badge  reader", "badge reader"),
        ("SV[2]: VS: Badge reader", "badge reader"),
        ("Refund", "refund"),
        ("I: Badge", "badge"),
    ],
)
def test_subjects_are_compared_without_prefixes(subject: str, plain: str):
    assert plain_subject(subject) == plain


@pytest.mark.parametrize("subject", ["Fwd: x", "FW: x", "WG: x", "TR : x", "RV: x", "转发：x"])
def test_the_prefix_of_a_forwarded_mail_is_recognised(subject: str):
    assert is_forward(subject)
    assert not is_forward(f"Re: {subject}")


@given(st.text(alphabet="> -:\nOnwroteFmSda", max_size=300))
def test_a_reply_with_text_never_becomes_empty(text: str):
    assert bool(strip_quotes(text)) == bool(text.strip())


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "> a b c\n",
            "On 16 March 2026 wrote:\n",
            "From: x\n\n",
            "From: x\nTo: y\nSubject: z\n",
            "On a wrote:\n> \n\n",
            "--\n",
            " \n",
            ":\n",
            "x@",
        ),
        *(
            ">>> a",
            "Sent from ",
            "12:30 2026 ",
            "To: a@b.example,\n",
            "> On 2026 a@b.example:\n",
            "______\n",
            "wrote: ",
        ),
    ],
)
def test_a_long_reply_takes_linear_time(unit: str):
    assert growth(strip_quotes, unit * (100_000 // len(unit))) < MOST
