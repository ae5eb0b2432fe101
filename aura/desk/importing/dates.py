"""Dates of exports: ISO 8601, numeric dates with the order of the whole column, names of months, seconds since 1970.

`dateutil.parser` reads these forms as well, but takes missing parts from today ("5" is the fifth of this month), decides between
day and month for each value alone, knows English months only, and takes five to seven times as long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from aura.desk.importing.report import InvalidImportFile

Order = Literal["dmy", "mdy", "ymd"]
#: Names of months by their first letters: English, German, French, Spanish, Italian, Dutch, Portuguese.
MONTHS: tuple[str, ...] = (
    "jan gen ene",
    "feb fev fév",
    "mar mär maer mrz maa",
    "apr avr abr",
    "may mai mag mei",
    "jun juin giu",
    "jul juil lug",
    "aug aoû aou ago",
    "sep set",
    "oct okt ott out",
    "nov",
    "dec dez déc dic",
)
#: Years that are believed; others are errors of typing or of the format.
FIRST_YEAR, LAST_YEAR = 1970, 2100

_MONTH = {name: number for number, names in enumerate(MONTHS, start=1) for name in names.split()}
_TIME = (
    r"(?:[T,\s]+(?:at |um |à |a las |alle |om )?(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,]\d{1,9})?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?(?:\s*Uhr)?\s*(?P<zone>Z|UTC|GMT|(?:UTC|GMT)?[+-]\d{2}:?\d{2}|[A-Z]{3,5})?)?"
)
_NUMERIC = re.compile(
    r"(?P<a>\d{1,4})(?P<separator>[-/. ]{1,2})(?P<b>\d{1,2})(?P=separator)(?P<c>\d{4}|\d{1,2})\.?" + _TIME
)
_NAMED = re.compile(
    r"(?:[^\W\d]{2,10}[.,]*\s+)?(?:(?P<day>\d{1,2})(?:st|nd|rd|th|er)?[-/.\s]+(?P<month>[^\W\d_]{3,9})\.?"
    r"|(?P<month2>[^\W\d_]{3,9})\.?\s+(?P<day2>\d{1,2})(?:st|nd|rd|th)?)[-/.,\s]+(?P<year>\d{4}|\d{2})" + _TIME
)
#: "Mon Jan 02 09:14:00 2026", as Unix and RT write it.
_CTIME = re.compile(
    r"[A-Za-z]{3}\s+(?P<month>[A-Za-z]{3})\s+(?P<day>\d{1,2})\s+(?P<clock>\d{2}:\d{2}:\d{2})\s+(?P<year>\d{4})"
)
#: ISO 8601 without separators, and the zone in brackets that Java adds.
_BASIC = re.compile(r"\d{8}(?:T\d{4}(?:\d{2})?(?:Z|[+-]\d{2}:?\d{2})?)?")
_BRACKETED = re.compile(r"\[[\w/+-]+\]$")
#: "So. 30.11.2025", "30 de noviembre de 2025", "2025年11月30日", "09:15 30.11.2025".
_WEEKDAY = re.compile(r"[^\W\d_]{2,10}[.,]{0,2}\s+(?=\d{1,4}[-/.]\d)")
_OF = re.compile(r"(?<=\s)(?:de|of|del)\s+", re.IGNORECASE)
_EAST_ASIAN = re.compile(r"(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일]")
_TIME_FIRST = re.compile(r"(\d{1,2}:\d{2}(?::\d{2})?(?:\s?[AaPp][Mm])?),?\s+(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4})")
#: Days since 1899-12-30, as spreadsheets store dates: 1982 to 2119.
_SERIAL = re.compile(r"[3-7]\d{4}(?:[.,]\d+)?")
_EPOCH = re.compile(r"\d{10}(?:\d{3})?(?:\.\d+)?")
_ZONES = {
    "Z": 0,
    "UTC": 0,
    "GMT": 0,
    "CET": 1,
    "CEST": 2,
    "MEZ": 1,
    "MESZ": 2,
    "EST": -5,
    "EDT": -4,
    "PST": -8,
    "PDT": -7,
    "CST": -6,
    "CDT": -5,
    "BST": 1,
}


@dataclass(slots=True)
class DateOrder:
    """Evidence for the order of day and month in the dates of a file."""

    day_first: str = ""
    month_first: str = ""
    ambiguous: str = ""

    @property
    def decided(self) -> bool:
        """Whether both orders cannot be left."""
        return bool(self.day_first and self.month_first)

    def add(self, text: str) -> None:
        """Add a date of the file."""
        found = _NUMERIC.match(_plain(text))
        if found is None or len(found["a"]) == 4 or "." in found["separator"]:
            return
        a, b = int(found["a"]), int(found["b"])
        if a > 12 >= b:
            self.day_first = self.day_first or text
        elif b > 12 >= a:
            self.month_first = self.month_first or text
        elif a != b:
            self.ambiguous = self.ambiguous or text

    def result(self, column: str) -> Order | None:
        """Return the order; None when no date needs it. Raises InvalidImportFile when the dates allow both orders or none."""
        if self.day_first and self.month_first:
            raise InvalidImportFile(
                f"{column}: {self.day_first!r} begins with the day and {self.month_first!r} with the month: "
                "correct one, or name the format of the dates"
            )
        if self.day_first or self.month_first:
            return "dmy" if self.day_first else "mdy"
        if self.ambiguous:
            raise InvalidImportFile(
                f"{column}: {self.ambiguous!r} may begin with the day or with the month, and no other date decides: "
                "choose dmy or mdy as the format of the dates"
            )
        return None


@dataclass(frozen=True, slots=True)
class DateReader:
    """Reads dates in one order or format; times without an offset are in `zone`."""

    zone: tzinfo = UTC
    order: Order | None = None
    #: A format of strptime, which comes first.
    format: str = ""

    def read(self, value: object) -> datetime | None:
        """Return the moment of a value; None for one that is no date. Surrounding blanks do not matter."""
        text = _plain(str(value).strip()[:60])
        try:
            moment = self._read(text)
            moment = moment if moment is None or moment.tzinfo else moment.replace(tzinfo=self.zone)
            return moment.astimezone(UTC) if moment and FIRST_YEAR <= moment.year <= LAST_YEAR else None
        except (ValueError, OverflowError, OSError):
            return None

    def _read(self, text: str) -> datetime | None:
        if self.format:
            return datetime.strptime(text, self.format)
        if text[:4].isdigit() and text[4:5] == "-":
            try:
                return datetime.fromisoformat(text)
            except ValueError:
                pass  # a date with a form of its own, such as "2026-1-2 9:14 AM"
        if _BASIC.fullmatch(text):
            return datetime.fromisoformat(text)
        if _SERIAL.fullmatch(text):
            return datetime(1899, 12, 30) + timedelta(seconds=round(float(text.replace(",", ".")) * 86_400))
        if _EPOCH.fullmatch(text):
            seconds = float(text)
            return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
        if found := _NUMERIC.fullmatch(text):
            return _moment(*self._numeric(found), found)
        if found := _CTIME.fullmatch(text):
            moment = datetime.strptime(found["clock"], "%H:%M:%S")
            return moment.replace(year=int(found["year"]), month=_month(found["month"]), day=int(found["day"]))
        if found := _NAMED.fullmatch(text):
            day, month = found["day"] or found["day2"], found["month"] or found["month2"]
            return _moment(_year(found["year"]), _month(month), int(day), found)
        return None

    def _numeric(self, found: re.Match[str]) -> tuple[int, int, int]:
        a, b, c = int(found["a"]), int(found["b"]), int(found["c"])
        if len(found["a"]) == 4 or (self.order == "ymd" and len(found["c"]) == 2):
            return (a if len(found["a"]) == 4 else _year(found["a"])), b, c
        if len(found["c"]) == 1:
            raise ValueError("a year has two or four digits")
        month_first = self.order == "mdy" and "." not in found["separator"]
        if not month_first and b > 12 and self.order is None:
            month_first = True
        return (_year(found["c"]), a, b) if month_first else (_year(found["c"]), b, a)


def _plain(text: str) -> str:
    """Return a date without its weekday and connecting words, the date before the time."""
    text = _EAST_ASIAN.sub(r"\1-\2-\3", _BRACKETED.sub("", text))
    text = _TIME_FIRST.sub(r"\2 \1", _OF.sub("", text))
    return _WEEKDAY.sub("", text, count=1) if _WEEKDAY.match(text) else text


def find_order(column_values: Iterable[tuple[str, str]]) -> tuple[DateOrder, str]:
    """Return the evidence of all dates (column and text) of a file, and a column that has any."""
    order, column = DateOrder(), ""
    for name, text in column_values:
        order.add(text)
        column = column or (name if order.ambiguous or order.day_first or order.month_first else "")
        if order.decided:
            break
    return order, column


def zone_named(name: str) -> tzinfo:
    """Return the time zone of a name such as Europe/Berlin. Raises InvalidImportFile."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidImportFile(f"{name!r} is not a time zone; use a name such as Europe/Berlin") from None


def _moment(year: int, month: int, day: int, found: re.Match[str]) -> datetime:
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("an hour with AM or PM is 1 to 12")
        hour = hour % 12 + (12 if found["half"][0] in "Pp" else 0)
    return datetime(year, month, day, hour, minute, second, tzinfo=_zone(found["zone"]))


def _zone(text: str | None) -> tzinfo | None:
    if not text:
        return None
    if text in _ZONES:
        return timezone(timedelta(hours=_ZONES[text]))
    text = text.removeprefix("UTC").removeprefix("GMT")
    if text[0] in "+-":
        digits = text[1:].replace(":", "")
        return timezone((1 if text[0] == "+" else -1) * timedelta(hours=int(digits[:2]), minutes=int(digits[2:])))
    raise ValueError(f"{text} is not a known time zone")


@lru_cache(maxsize=200)
def _month(name: str) -> int:
    lower = name.lower()
    for length in (4, 3):
        if lower[:length] in _MONTH:
            return _MONTH[lower[:length]]
    raise ValueError(f"{name} is no month")


def _year(text: str) -> int:
    year = int(text)
    return year if len(text) == 4 else year + (1900 if year >= 69 else 2000)
