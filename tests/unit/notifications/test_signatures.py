"""Signatures as Standard Webhooks specifies them, and the time for which a message is valid."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.notifications.signatures import (
    LONGEST_KEY,
    SHORTEST_KEY,
    SIGNATURES_LIMIT,
    TOLERANCE,
    InvalidSignature,
    key_of,
    new_secret,
    sign,
    verify,
)

#: The test vector that the specification's own libraries carry.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {"webhook-id": ID, "webhook-timestamp": str(TIMESTAMP), "webhook-signature": SIGNATURE}


def test_the_published_vector_is_signed_and_verified() -> None:
    assert sign([SECRET], ID, BODY, TIMESTAMP) == HEADERS
    assert verify([SECRET], HEADERS, BODY, TIMESTAMP) == ID


@pytest.mark.parametrize("seconds", [-TOLERANCE, -1, 0, 1, TOLERANCE])
def test_a_message_is_good_for_five_minutes_before_and_after(seconds: float) -> None:
    assert verify([SECRET], HEADERS, BODY, TIMESTAMP + seconds) == ID


@pytest.mark.parametrize("seconds", [-TOLERANCE - 1, TOLERANCE + 1, 3600, -86400])
def test_a_message_that_is_sent_again_later_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidSignature, match="more than 5 minutes from now"):
        verify([SECRET], HEADERS, BODY, TIMESTAMP + seconds)
    # by the real clock, too
    with pytest.raises(InvalidSignature, match="more than 5 minutes from now"):
        verify([SECRET], HEADERS, BODY)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": ID + "x"},
        {"webhook-id": ID.lower()},
        {"webhook-timestamp": str(TIMESTAMP + 1)},
        {"webhook-timestamp": f"0{TIMESTAMP}"},
        {"webhook-signature": SIGNATURE.replace("v1,", "v2,")},
        {"webhook-signature": SIGNATURE.replace("v1,", "v1a,")},
        {"webhook-signature": SIGNATURE.replace("v1,", "")},
        {"webhook-signature": SIGNATURE[:-1]},
        {"webhook-signature": SIGNATURE + "="},
        {"webhook-signature": SIGNATURE.lower()},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "\ud800 é"},
        # what fits must be among the first that are looked at
        {"webhook-signature": "v1,a " * SIGNATURES_LIMIT + SIGNATURE},
    ],
)
def test_any_changed_part_fails_verification(changes: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature, match="no signature matches"):
        verify([SECRET], HEADERS | changes, BODY, TIMESTAMP)


def test_a_changed_body_and_a_moved_boundary_fail_verification() -> None:
    for body in (BODY + b" ", BODY[:-1], b""):
        with pytest.raises(InvalidSignature, match="no signature matches"):
            verify([SECRET], HEADERS, body, TIMESTAMP)
    # id and time are a part of what is signed, with a dot between; nobody gets anywhere by moving it
    moved = {**HEADERS, "webhook-id": f"{ID}.{str(TIMESTAMP)[:1]}", "webhook-timestamp": str(TIMESTAMP)[1:]}
    with pytest.raises(InvalidSignature):
        verify([SECRET], moved, BODY, int(str(TIMESTAMP)[1:]))


@pytest.mark.parametrize("timestamp", ["now", "-1", "1614265330.5", "١٦", "1e9", " 1614265330", "9" * 13, "0x10"])
def test_an_invalid_time_is_an_error(timestamp: str) -> None:
    with pytest.raises(InvalidSignature, match="seconds since 1970"):
        verify([SECRET], HEADERS | {"webhook-timestamp": timestamp}, BODY, TIMESTAMP)


@pytest.mark.parametrize("missing", HEADERS)
def test_each_header_is_required(missing: str) -> None:
    for headers in ({**HEADERS, missing: ""}, {name: HEADERS[name] for name in HEADERS if name != missing}):
        with pytest.raises(InvalidSignature, match="are required"):
            verify([SECRET], headers, BODY, TIMESTAMP)


def test_both_keys_verify_during_a_rotation() -> None:
    old, new = new_secret(), new_secret()
    both = sign([new, old], "m1", b"{}", 1000)
    assert len(both["webhook-signature"].split(" ")) == 2
    # a receiver with either key, or with both, and a sender with either
    for theirs in ([old], [new], [old, new], [new_secret(), old]):
        assert verify(theirs, both, b"{}", 1000) == "m1"
    for ours in ([old], [new]):
        assert verify([new, old], sign(ours, "m1", b"{}", 1000), b"{}", 1000) == "m1"
    with pytest.raises(InvalidSignature):
        verify([new], sign([old], "m1", b"{}", 1000), b"{}", 1000)


def test_without_a_key_every_verification_fails() -> None:
    with pytest.raises(InvalidSignature):
        verify([], HEADERS, BODY, TIMESTAMP)


def test_new_keys_are_different_and_long_enough() -> None:
    keys = {new_secret() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key_of(key)) for key in keys} == {32}


@pytest.mark.parametrize("length", [0, SHORTEST_KEY - 1, LONGEST_KEY + 1])
def test_an_invalid_key_is_refused_and_not_repeated(length: int) -> None:
    encoded = base64.b64encode(b"k" * length).decode()
    for wrong in (f"whsec_{encoded}", encoded, f"whsec_{encoded}!", "whsec_ä", f"WHSEC_{encoded}"):
        with pytest.raises(ValueError, match="24 to 64 bytes in Base64") as caught:
            key_of(wrong)
        assert len(encoded) < 4 or encoded not in str(caught.value)
        with pytest.raises(ValueError, match="24 to 64 bytes in Base64"):
            sign([wrong], "m1", b"")


@given(st.text(), st.binary(), st.integers(0, 10**11))
def test_a_signed_message_is_verified(message_id: str, body: bytes, moment: int) -> None:
    headers = sign([SECRET], message_id or "m", body, moment)
    assert verify([SECRET], headers, body, moment) == (message_id or "m")


@given(st.dictionaries(st.sampled_from(sorted(HEADERS)), st.text()), st.binary())
def test_any_input_is_refused_with_a_reason(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        verify([SECRET], headers, body)
