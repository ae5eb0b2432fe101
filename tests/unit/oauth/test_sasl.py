"""XOAUTH2 and OAUTHBEARER."""

from __future__ import annotations

import pytest

from aura.oauth.sasl import Responder, choose


@pytest.mark.parametrize(
    ("offered", "mechanism"),
    [
        (["PLAIN", "XOAUTH2"], "XOAUTH2"),
        (["OAUTHBEARER", "XOAUTH2"], "XOAUTH2"),
        (["PLAIN", "OAUTHBEARER"], "OAUTHBEARER"),
        (["PLAIN"], None),
        ([], None),
    ],
)
def test_the_mechanism_is_one_that_the_server_offers(offered: list[str], mechanism: str | None):
    assert choose(offered) == mechanism


def test_xoauth2_sends_user_and_token_and_answers_a_refusal_with_nothing():
    responder = Responder("XOAUTH2", "desk@example.com", "t0ken", "imap.example.com", 993)
    assert responder(b"") == "user=desk@example.com\x01auth=Bearer t0ken\x01\x01"
    assert responder(b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}') == ""
    assert responder.refusal == "400"


def test_oauthbearer_sends_host_and_port_escapes_the_user_and_answers_a_refusal_with_a_separator():
    responder = Responder("OAUTHBEARER", "a=b,c@example.com", "t0ken", "imap.example.com", 993)
    assert responder() == (
        "n,a=a=3Db=2Cc@example.com,\x01host=imap.example.com\x01port=993\x01auth=Bearer t0ken\x01\x01"
    )
    assert responder(b'{"status":"invalid_token"}') == "\x01"
    assert responder.refusal == "invalid_token"


@pytest.mark.parametrize(
    "challenge",
    [b"", b"{", b"[]", b"\xff\xfe", b"7", b'{"status":{"a":1}}', b'{"status":"a b\\u001b[31m"}', b"[" * 100_000],
)
def test_a_malformed_challenge_is_a_refusal_without_a_status(challenge: bytes):
    responder = Responder("XOAUTH2", "desk", "t0ken", "h", 1)
    responder()
    assert responder(challenge) == ""
    assert responder.refusal == ""


def test_a_long_status_is_cut():
    responder = Responder("XOAUTH2", "desk", "t0ken", "h", 1)
    responder()
    responder(b'{"status":"' + b"9" * 1000 + b'"}')
    assert len(responder.refusal) == 40
