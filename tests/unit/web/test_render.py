"""Filters of the templates."""

from __future__ import annotations

import pytest

from aura.web.render import count_of, duration, number, schedule, short


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.35, "350 ms"), (12.4, "12 s"), (180, "3 min"), (5 * 3600, "5 h"), (2 * 86_400, "2 d")],
)
def test_a_duration_has_one_unit(seconds: float | None, text: str):
    assert duration(seconds) == text


def test_a_number_has_separators_and_stops_where_counting_stops():
    assert (number(1234567), number(1.25), number(10_001, 10_000), number(None)) == ("1,234,567", "1.2", "10,000+", "")
    assert (count_of(1, "job", "jobs"), count_of(2000, "job", "jobs")) == ("1 job", "2,000 jobs")


@pytest.mark.parametrize(
    ("crontab", "text"),
    [
        ("* * * * *", "every minute"),
        ("*/10 * * * *", "every 10 minutes"),
        ("15 * * * *", "every hour at :15"),
        ("0 2 * * *", "every day at 02:00"),
        ("0 2 * * mon", "0 2 * * mon"),
    ],
)
def test_a_simple_schedule_is_text(crontab: str, text: str):
    assert schedule(crontab) == text


def test_a_long_text_is_cut_to_one_line():
    assert short("one\n two   three", 9) == "one two …"
