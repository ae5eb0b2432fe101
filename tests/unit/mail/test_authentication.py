"""Authentication-Results: those of our own server verify the sender, and nothing that the sender wrote does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.mail.authentication import Verification, verify_sender
from aura.mail.parse import parse_mail
from tests.growth import MOST, growth

TRUSTED = ("mx.example.org", "mx2.example.org")
FROM = "From: Ada <ada@corp.example>\n"
PASS = "Authentication-Results: mx.example.org; dmarc=pass header.from=corp.example\n"
FAIL = "Authentication-Results: mx.example.org; dmarc=fail (p=none) header.from=corp.example\n"
RECEIVED = "Received: from a.example by b.example; Mon, 30 Nov 2026 08:00:00 +0000\n"


def verified(headers: str, trusted: tuple[str, ...] = TRUSTED) -> bool | None:
    return verify_sender(parse_mail(f"{headers}\nText".encode()), trusted).verified


# -- the results of one header, as servers write them --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("mx.example.org; dmarc=pass header.from=corp.example", True),
        ("MX.example.org 1; DMARC = Pass header.from = CORP.example", True),
        ('"mx.example.org"; dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=corp.example;', True),
        ("(a (nested) comment; x) mx.example.org; dmarc=pass header.from=corp.example", True),
        ("mx.example.org;\n\tdkim=pass (2048-bit key) header.d=corp.example header.b=\"a/b+c=\";\n\tdmarc=none", True),
        ("mx.example.org; dkim=pass header.i=@corp.example header.b=a/b+c=", True),
        ("mx.example.org; dkim=fail header.d=corp.example; dkim=pass header.d=corp.example", True),
        ("mx.example.org; spf=pass (mx: 192.0.2.1 is permitted; x) smtp.mailfrom=bounce@corp.example", True),
        ("mx.example.org; spf=pass smtp.mailfrom=corp.example; dmarc=temperror header.from=corp.example", True),
        ("mx.example.org; auth=pass smtp.auth=ADA@corp.example", True),
        ("mx2.example.org; dmarc=pass header.from=corp.example", True),
        ("mx.example.org; dmarc=pass", False),
        ("mx.example.org; dmarc=pass header.from=evil.example", False),
        ("mx.example.org; dmarc=pass header.from=example", False),
        ("mx.example.org; dmarc=pass header.from=mail.corp.example", False),
        ("mx.example.org; dmarc=pass header.from=xcorp.example", False),
        ("mx.example.org; dmarc=fail header.from=corp.example; dkim=pass header.d=corp.example", False),
        ("mx.example.org; dmarc=quarantine header.from=corp.example", False),
        ("mx.example.org; dmarc=pass header.from=corp.example; dmarc=fail header.from=corp.example", False),
        ("mx.example.org; spf=pass smtp.mailfrom=evil.example; dkim=pass header.d=evil.example", False),
        ("mx.example.org; spf=pass smtp.helo=corp.example", False),
        ("mx.example.org; dkim=pass header.d=sub.corp.example", False),
        ("mx.example.org; dkim=pass header.d=example", False),
        ("mx.example.org; spf=softfail smtp.mailfrom=ada@corp.example", False),
        ("mx.example.org; auth=pass smtp.auth=eve@corp.example", False),
        ("mx.example.org; iprev=pass header.d=corp.example", False),
        ("mx.example.org; none", False),
        ("mx.example.org", False),
        ("", False),
        ("evil.example; dmarc=pass header.from=corp.example", False),
        ("mx.example.org.evil.example; dmarc=pass header.from=corp.example", False),
        ("evil.example (; mx.example.org; dmarc=pass header.from=corp.example)", False),
        ("(mx.example.org;) evil.example; dmarc=pass header.from=corp.example", False),
        ('mx.example.org; spf=fail reason="x; dmarc=pass header.from=corp.example" smtp.mailfrom=evil.example', False),
        ('mx.example.org; spf=pass reason="smtp.mailfrom=corp.example" smtp.mailfrom=evil.example', False),
        ("mx.example.org; spf=pass (smtp.mailfrom=corp.example) smtp.mailfrom=evil.example", False),
        (r"mx.example.org; spf=pass (\) smtp.mailfrom=corp.example) smtp.mailfrom=evil.example", False),
        (r'mx.example.org; spf=fail smtp.mailfrom="\"; dmarc=pass header.from=corp.example; x=\""@evil.example', False),
        ("mx.example.org; spf=fail smtp.mailfrom=a;dmarc=pass@evil.example", False),
        ('mx.example.org; spf=pass smtp.mailfrom="ada@corp.example"@evil.example; dmarc=none', False),
        (r'mx.example.org; spf=pass smtp.mailfrom="ada@corp.example\""@evil.example', False),
        ('mx.example.org; dkim=pass header.i="ada@corp.example"@evil.example', False),
        ('mx.example.org; auth=pass smtp.auth="ada@corp.example"@evil.example', False),
        ('mx.example.org; spf=pass smtp.mailfrom="bounce 1"@corp.example', True),
        ('mx.example.org; spf=pass smtp.mailfrom="bounce@corp.example"', True),
        ("mx.example.org; dmarc=pass (not closed header.from=corp.example", False),
        ('mx.example.org; dmarc=pass header.from="corp.example', False),
        ("dmarc=pass header.from=corp.example", False),
    ],
)  # fmt: skip
def test_the_results_of_a_header(value: str, expected: bool) -> None:
    assert verified(f"Authentication-Results: {value}\n{FROM}") is expected


def test_a_subdomain_is_covered_by_the_domain_above_it() -> None:
    sender = "From: ada@mail.corp.example\n"
    assert verified(f"{PASS}{sender}")
    assert verified(f"Authentication-Results: mx.example.org; dkim=pass header.d=corp.example\n{sender}")


def test_a_domain_in_letters_and_in_ascii_is_the_same() -> None:
    result = "Authentication-Results: mx.example.org; dmarc=pass header.from=xn--bcher-kva.example\n"
    assert verified(f"{result}From: ada@bücher.example\n")
    # a capital letter of another alphabet, which the mapping of browsers makes the same domain
    assert verified(f"{result}From: ada@ｂücher.example\n") is False


# -- which headers are ours -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        # ours is the topmost; the sender wrote the others
        (f"{FAIL}{RECEIVED}{PASS}{FROM}", False),
        (f"{FAIL}{PASS}{FROM}", False),
        (f"{RECEIVED}{FAIL}{PASS}{FROM}", False),
        (f"{RECEIVED}{FAIL}{RECEIVED}{PASS}{FROM}", False),
        (f"{RECEIVED}Authentication-Results: mx.example.org; dkim=none\n{PASS}{FROM}", False),
        (f"Authentication-Results: mx.example.org; spf=none\n{RECEIVED}{PASS}{FROM}", False),
        (f"{PASS}{RECEIVED}{FAIL}{FROM}", True),
        (f"{RECEIVED}{PASS}{RECEIVED}{FAIL}{FROM}", True),
        # several of ours above the first Received, one of each filter
        (f"Authentication-Results: mx.example.org; spf=none\n{PASS}{RECEIVED}{FROM}", True),
        (f"Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=corp.example\n{FAIL}{RECEIVED}{FROM}", False),
        # those of other servers are not read
        (f"Authentication-Results: other.example; dmarc=fail header.from=corp.example\n{PASS}{RECEIVED}{FROM}", True),
        (f"X-{PASS}{FROM}", False),
        (f"ARC-{PASS}{FROM}", False),
        (f"Subject: x\n {PASS}{FROM}", False),
        (FROM, False),
    ],
)
def test_headers_below_ours_are_not_read(headers: str, expected: bool) -> None:
    assert verified(headers) is expected


def test_without_a_trusted_server_the_sender_is_unknown() -> None:
    assert verified(f"{PASS}{FROM}", ()) is None
    assert verified(f"{FAIL}{FROM}", ()) is None


# -- From itself ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ("From: ada@corp.example\nFrom: eve@evil.example\n", "From does not name one sender"),
        ("From: ada@corp.example, eve@evil.example\n", "From does not name one sender"),
        ("From: Team: ada@corp.example;\n", "From does not name one sender"),
        ("From: <ada@corp.example\n", "From does not name one sender"),
        ("From: ada@cоrp.example\n", "From does not name one sender"),  # a Cyrillic o
        ("From: <>\nReply-To: ada@corp.example\n", "From does not name one sender"),
        ("Sender: ada@corp.example\n", "From does not name one sender"),
        ("From: MAILER-DAEMON\n", "From names no sender"),
        ("Subject: x\n", "From names no sender"),
    ],
)
@pytest.mark.parametrize("trusted", [TRUSTED, ()])
def test_an_ambiguous_from_is_never_verified(headers: str, reason: str, trusted: tuple[str, ...]) -> None:
    assert verify_sender(parse_mail(f"{PASS}{headers}\nText".encode()), trusted) == Verification(False, reason)


# -- hostile headers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hostile", ["(", "(a)", '"', "\\", ";", "a=", "a.b=c ", "=", "dmarc=pass ", "a ", '"a" ', "a" * 40]
)
def test_a_hostile_header_takes_linear_time(hostile: str) -> None:
    def work(text: str) -> object:
        return verified(f"Authentication-Results: mx.example.org; dmarc=pass {text}\n{FROM}")

    assert growth(work, hostile * (18_000 // len(hostile))) < MOST


@given(st.text('mx.example.org;()"\\= dmarc=pass\tspf/1 header.from=corp\n', max_size=200))
def test_any_header_has_a_result(value: str) -> None:
    assert verified(f"Authentication-Results: {value.replace(chr(10), ' ')}\n{FROM}") in (True, False)
