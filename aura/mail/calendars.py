"""Reads invitations (iCalendar, RFC 5545) as text: summary, time, place and description.

Own code: six properties are needed, without recurrence and time zone rules. ``icalendar`` has 5.5 MB and raises on calendars that
break the standard.
"""

from __future__ import annotations

import re

MAX_EVENTS = 5
_FOLD = re.compile(r"\r*\n[ \t]")
_PROPERTY = re.compile(r'([A-Za-z-]{1,40})((?:;[^:;"]*(?:"[^"]*"[^:;"]*)*)*):(.*)')
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)?(Z)?)?")
_ZONE = re.compile(r"TZID=\"?([^\";:]{1,100})", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([nN,;\\])")
_KINDS = ("VEVENT", "VTODO", "VJOURNAL")


def calendar_text(source: str) -> str:
    """Return the events of a calendar as text, at most MAX_EVENTS; empty when there is none."""
    cancelled, events = False, []
    event: dict[str, str] | None = None
    inner = 0
    for line in _FOLD.sub("", source).splitlines():
        found = _PROPERTY.match(line)
        if found is None:
            continue
        name, value = found[1].upper(), found[3].strip()
        if name == "METHOD":
            cancelled = value.upper() == "CANCEL"
        elif name == "BEGIN" and event is not None:
            inner += 1  # an alarm, whose description is another one
        elif name == "BEGIN" and value.upper() in _KINDS:
            event = {}
        elif name == "END" and inner:
            inner -= 1
        elif name == "END" and event is not None:
            events.append(_event_text(event, cancelled))
            event = None
        elif event is not None and not inner:
            event.setdefault(name, _time(value, found[2]) if name in ("DTSTART", "DTEND", "DUE") else _text(value))
        if len(events) == MAX_EVENTS:
            break
    if event:
        events.append(_event_text(event, cancelled))  # the calendar is cut off
    return "\n\n".join(filter(None, events))


def _event_text(event: dict[str, str], cancelled: bool) -> str:
    times = " – ".join(filter(None, (event.get("DTSTART"), event.get("DTEND") or event.get("DUE"))))
    cancelled = cancelled or event.get("STATUS", "").upper() == "CANCELLED"
    head = (event.get("SUMMARY", ""), "CANCELLED" if cancelled else "", times, event.get("LOCATION", ""))
    return "\n\n".join(filter(None, ("\n".join(filter(None, head)), event.get("DESCRIPTION", ""))))


def _text(value: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value).strip()


def _time(value: str, parameters: str) -> str:
    found = _TIME.fullmatch(value)
    if found is None:
        return ""
    year, month, day, hour, minute, _, utc = found.groups()
    if hour is None:
        return f"{year}-{month}-{day}"
    zone = _ZONE.search(parameters)
    return f"{year}-{month}-{day} {hour}:{minute}{' UTC' if utc else f' {zone[1]}' if zone else ''}"
