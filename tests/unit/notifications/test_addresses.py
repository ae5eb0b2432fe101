"""Address headers: no mailbox that can be mailed is lost, and no display name creates one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.notifications import is_email
from aura.notifications.addresses import comparable, parse_mailboxes, spellings
from tests.growth import MOST, growth


@pytest.mark.parametrize(
    ("value", "mailboxes"),
    [
        ("Ann Lee <ann@example.com>", [("Ann Lee", "ann@example.com")]),
        ("ANN@Example.COM", [("", "ann@example.com")]),
        ("ann@example.com (Ann (IT) Lee)", [("Ann (IT) Lee", "ann@example.com")]),
        ("Ann (IT) <ann@example.com>", [("Ann (IT)", "ann@example.com")]),
        ('"Lee, Ann" <ann@example.com>, bob@example.com; Cy <cy@example.com>',
         [("Lee, Ann", "ann@example.com"), ("", "bob@example.com"), ("Cy", "cy@example.com")]),
        ("Team: ann@example.com, Bob <bob@example.com>;", [("", "ann@example.com"), ("Bob", "bob@example.com")]),
        ("undisclosed-recipients:;", []),
        (r'"Ann \"A\" Lee" <ann@example.com>', [('Ann "A" Lee', "ann@example.com")]),
        ("<@a.example,@b.example:ann@example.com>", [("", "ann@example.com")]),
        ("Jürgen <j@example.com>", [("Jürgen", "j@example.com")]),
        ("ann@exämple.example", [("", "ann@exämple.example")]),
    ],
)  # fmt: skip
def test_the_mailboxes_of_a_header(value: str, mailboxes: list[tuple[str, str]]) -> None:
    assert parse_mailboxes(value) == mailboxes


@pytest.mark.parametrize(
    ("value", "name", "address"),
    [
        ("Lee, Ann <ann@example.com>", "Lee, Ann", "ann@example.com"),
        ("Ann <ann@example.com", "Ann", "ann@example.com"),
        ("ann@example.com>", "", "ann@example.com"),
        ("<<ann@example.com>>", "", "ann@example.com"),
        ("Ann ann@example.com", "Ann", "ann@example.com"),
        ("Ann [ann@example.com]", "Ann", "ann@example.com"),
        ('"Ann <ann@example.com>', '"Ann', "ann@example.com"),
        ("Ann (IT <ann@example.com>", "Ann (IT", "ann@example.com"),
        ("ann @ example.com", "", "ann@example.com"),
        ("<mailto:ann@example.com>", "", "ann@example.com"),
        ("'ann@example.com'", "", "ann@example.com"),
        ("ann@example.com <>", "", "ann@example.com"),
        ("Ann <ann@example.com> (office)", "Ann", "ann@example.com"),
        ("ann@my_site.example.com", "", "ann@my_site.example.com"),
        ("ann..lee.@docomo.example", "", "ann..lee.@docomo.example"),
        ('"ann..lee."@docomo.example', "", "ann..lee.@docomo.example"),
        ("ann@example.com.", "", "ann@example.com"),
        ('"ann lee"@example.com', "", '"ann lee"@example.com'),
        ('Ann <"ann lee"@example.com>', "Ann", '"ann lee"@example.com'),
        ('Ann <"ann@example.com">', "Ann", "ann@example.com"),
        ("Ann <\u200bann@example.com\u200e>", "Ann", "ann@example.com"),
        ("Ann <ann@example.com; bob@example.com>", "Ann", "ann@example.com"),
    ],
)
def test_an_odd_mailbox_is_not_lost(value: str, name: str, address: str) -> None:
    assert parse_mailboxes(value) == [(name, address)]


@pytest.mark.parametrize(
    "name",
    [
        "=?utf-8?Q?boss=40corp.example=2C?=", "=?utf-8?Q?boss=40corp.example_=3Cboss=40corp.example=3E?=",
        "=?utf-8?Q?a=22b?=", "=?utf-8?Q?a_=28b?=", "=?utf-8?B?Ym9zc0Bjb3JwLmV4YW1wbGUs?=", "=?utf-8?Q?boss@corp.example,?=",
        "=?utf-8?Q?<boss@corp.example>?=",
        '=?utf-8?Q?a"b(c?=', '"boss@corp.example"', "boss@corp.example", '"boss@corp.example," x', '"<boss@corp.example>"',
    ],
)  # fmt: skip
def test_a_name_neither_creates_nor_hides_an_address(name: str) -> None:
    assert [box.address for box in parse_mailboxes(f"{name} <mallory@evil.example>")] == ["mallory@evil.example"]


@pytest.mark.parametrize(
    "value",
    [
        "", "Ann", "Ann <>", '"ann@example.com" <>', "ann@", "@example.com", "MAILER-DAEMON (x)", ",;:", "a%b@example.com",
        "=?utf-8?Q?ann=40example.com?=", "=?utf-8?Q?ann?=@example.com",
    ],
)  # fmt: skip
def test_there_is_no_mailbox_without_an_address(value: str) -> None:
    assert parse_mailboxes(value) == []


@given(st.text("ab@.,;:<>()\"'\\[] =?Qq\n\tü", max_size=120))
def test_each_address_that_is_found_can_be_mailed(value: str) -> None:
    for name, address in parse_mailboxes(value):
        assert is_email(address) and address == address.lower()
        assert "=?" not in address
        assert isinstance(name, str)


@pytest.mark.parametrize(
    "hostile",
    ["(", '"', '"\\', "<", "=?a?q?", "a@b.c,", "@", "a@", "(a)", " @ ", "a ", "a..", ":", "()", '"a"', " ", ", ", "; "],
)
@pytest.mark.parametrize("angle", ["", "<a"])
def test_a_hostile_header_takes_linear_time(hostile: str, angle: str) -> None:
    assert growth(lambda text: parse_mailboxes(f"{angle}{text}b>"), hostile * (20_000 // len(hostile))) < MOST


@pytest.mark.parametrize(
    "same",
    [
        ("ann@bücher.example", "ann@xn--bcher-kva.example", "ANN@BÜCHER.example", "Ann@XN--BCHER-KVA.Example"),
        ("ann@straße.example", "ann@xn--strae-oqa.example"),
        ("ann@例え.テスト", "ann@xn--r8jz45g.xn--zckzah"),
        ("ann@plain.example", "Ann@Plain.Example"),
    ],
)
def test_spellings_of_an_address_are_one(same: tuple[str, ...]) -> None:
    assert len({comparable(each) for each in same}) == 1
    for each in same:
        assert {comparable(spelling) for spelling in spellings(each)} == {comparable(same[0])}
        assert {same[0], same[1].lower()} <= set(spellings(each))


@pytest.mark.parametrize(
    "address", ["ann@xn--a.example", "ann@aא.example", "ann", "", "ann@", "@xn--", "xn--a@b.example"]
)
def test_an_address_with_an_invalid_domain_is_compared_as_it_is(address: str) -> None:
    assert comparable(address) == address.lower()
    assert spellings(address) == [address.lower()]


def test_different_addresses_stay_different() -> None:
    others = ["ann@strasse.example", "ann@straße.example", "ann@bucher.example", "ann@bücher.example", "änn@b.example"]
    assert len({comparable(each) for each in others}) == len(others)
