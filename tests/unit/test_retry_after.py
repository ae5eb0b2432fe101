from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.retry_after import LONGEST, seconds

DATE = "Mon, 30 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"RETRY-AFTER": "0"}, 0.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "999999999"}, LONGEST),
        ({"Retry-After": "9" * 5_000}, LONGEST),
        ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Retry-After-Ms": "soon", "Retry-After": "9"}, 9.0),
    ],
)
def test_a_number_of_seconds_or_milliseconds_is_read(headers: dict[str, str], expected: float | None) -> None:
    assert seconds(headers) == expected


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Mon, 30 Nov 2026 10:01:30 GMT", 90.0),
        ("Monday, 30-Nov-26 10:01:30 GMT", 90.0),
        ("Mon Nov 30 10:01:30 2026", 90.0),
        ("Mon, 30 Nov 2026 11:01:30 +0100", 90.0),
        ("Mon, 30 Nov 2026 09:00:00 GMT", 0.0),
        ("Sun, 30 Nov 2036 10:00:00 GMT", LONGEST),
    ],
)
def test_a_date_is_relative_to_the_date_of_the_response(date: str, expected: float) -> None:
    assert seconds({"Retry-After": date, "Date": DATE}) == expected


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_a_date_without_a_date_of_the_response_is_relative_to_our_clock(headers: dict[str, str]) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < (seconds({"Retry-After": later, **headers}) or 0) <= 60


@pytest.mark.parametrize(
    "value",
    ["", "soon", "nan", "inf", "1e999", "1_000", "١٢", "0x10", "1.2.3", "7 s", "Mon, 99 Nov 2026 10:00:00 GMT"],
)
def test_garbage_names_no_time(value: str) -> None:
    assert seconds({"Retry-After": value, "Date": DATE}) is None


@given(st.text(max_size=50), st.text(max_size=50))
def test_any_header_gives_a_wait_within_the_bounds_or_none(value: str, date: str) -> None:
    wait = seconds({"Retry-After": value, "Date": date})
    assert wait is None or 0 <= wait <= LONGEST
