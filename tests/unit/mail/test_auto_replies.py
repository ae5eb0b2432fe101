"""Automatic mail is recognised by its headers."""

from __future__ import annotations

import pytest

from aura.mail.auto_replies import automatic_reason
from aura.mail.parse import parse_mail
from tests.unit.mail.test_parse import OWN_ADDRESS, mail


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("out_of_office", "Auto-Submitted: auto-replied"),
        ("bounce", "bounce"),
        ("mailing_list", "mailing list: List-Id"),
        ("precedence_bulk", "Precedence: bulk"),
        ("suppress", "X-Auto-Response-Suppress"),
        ("own_mail_back", "own mail"),
    ],
)
def test_the_reason_names_the_header_of_automatic_mail(name: str, reason: str):
    assert reason in automatic_reason(parse_mail(mail(name)), OWN_ADDRESS)


@pytest.mark.parametrize(
    "header",
    [
        "From: MAILER-DAEMON@mx.example.com",
        "From: Aura <AURA@localhost>",
        "Return-Path: <>",
        "Content-Type: multipart/report; boundary=b",
        "Auto-Submitted: Auto-Generated",
        "Precedence: LIST",
        "List-Unsubscribe: <mailto:x@example.com>",
        "X-Autoreply: yes",
    ],
)
def test_one_header_is_enough(header: str):
    assert automatic_reason(parse_mail(f"{header}\n\nText\n".encode()), OWN_ADDRESS)


@pytest.mark.parametrize(
    "header", ["Auto-Submitted: no", "Precedence: normal", "Return-Path: <ada@example.com>", "X: y"]
)
def test_headers_of_mail_by_a_person_give_no_reason(header: str):
    assert automatic_reason(parse_mail(f"From: ada@example.com\n{header}\n\nText\n".encode()), OWN_ADDRESS) == ""
