"""Notification settings: subscriptions and preferences, one at a time or from a YAML file:

    subscriptions:
    - {recipient: boss@example.com, event: ticket.escalated, priority: high}
    - {recipient: desk-slack, channel: slack, category: Network}
    preferences:
    - {recipient: boss@example.com, language: de, timezone: Europe/Berlin, quiet: 22:00-07:00, digest: daily}

A file adds subscriptions and replaces the preferences of the recipients that it names; everything else stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from actors import digest
from aura.errors import InvalidInput, NotFound
from aura.notifications import Subscription, is_email, quiet_hours
from aura.notifications.recipients import is_user
from aura.notifications.subscriptions import ALL, INCIDENT_PROPOSED, InvalidSubscription, validated
from aura.settings import get_settings
from db import preferences, reading, subscriptions, transaction
from db.new_tickets import storable

#: Fields of an entry.
SUBSCRIPTION = subscriptions.FIELDS
PREFERENCE = ("recipient", "language", "timezone", "quiet", "digest", "digest_at")
#: Values that reset a preference.
NONE = ("", "none")
#: Maximum size of a file, in bytes.
MAX_BYTES = 1_000_000
DEFAULT_DIGEST_AT = "08:00"

FIELDS: Mapping[str, tuple[str, ...]] = {"subscriptions": SUBSCRIPTION, "preferences": PREFERENCE}

Row = dict[str, str]
#: Fields of an entry with their texts.
Fields = Mapping[str, str]
#: Kind of the entry (a key of FIELDS), line, fields.
Entry = tuple[str, int, Fields]
#: Line and message.
LineError = tuple[int, str]


class UnknownPreferences(NotFound):
    """The recipient has no preferences."""


class InvalidSettings(InvalidInput):
    """A setting is invalid; the message names field and fix, for a file with one line per invalid entry."""


@dataclass(slots=True)
class Changes:
    """The changes of an import; preferences are in the form of the file."""

    new: list[Row] = field(default_factory=list)
    known: int = 0
    changed: list[Row] = field(default_factory=list)
    same: int = 0


# -- one recipient ----------------------------------------------------------------------------------------------------


def subscribe(fields: Fields) -> tuple[Row, bool]:
    """Add a subscription. Returns it, and whether it is new. Raises InvalidSettings."""
    with transaction() as session:
        row = _subscription(fields, subscriptions.endpoints(session))
        return row, subscriptions.add(session, [row]) == 1


def set_preference(recipient: str, fields: Fields) -> tuple[Row, int]:
    """Change preferences of a recipient. Returns all of them, and the number of delayed notifications rescheduled.

    Raises InvalidSettings.
    """
    with transaction() as session:
        row = _preference(
            {"recipient": recipient, **fields}, preferences.all_preferences(session).get(recipient.lower())
        )
        preferences.save(session, recipient, row)
        return as_written(recipient.lower(), row), digest.reschedule(session, recipient)


def remove_preference(recipient: str) -> int:
    """Remove the preferences of a recipient. Returns the number of delayed notifications rescheduled.

    Raises UnknownPreferences.
    """
    with transaction() as session:
        if not preferences.remove(session, recipient):
            raise UnknownPreferences(f"{recipient[:254]!r} has no preferences")
        return digest.reschedule(session, recipient)


def as_written(recipient: str, row: Mapping[str, str]) -> Row:
    """Return the preferences of a recipient in the form of the file; unset ones are empty."""
    hours = f"{row['quiet_from']}-{row['quiet_to']}" if row["quiet_from"] else ""
    at = row["digest_at"] if row["digest"] == "daily" else ""
    values = (row["language"], row["timezone"], hours, row["digest"], at)
    return dict(zip(PREFERENCE, (recipient, *values), strict=True))


def _subscription(fields: Fields, endpoints: set[tuple[str, str]]) -> Row:
    recipient = fields.get("recipient", "").strip()
    channel = fields.get("channel", "").lower() or _channel(recipient, endpoints)
    event = fields.get("event", "").lower() or ALL
    subscription = Subscription(
        recipient=recipient,
        channel=channel,
        event=event if event in (ALL, INCIDENT_PROPOSED) or event.startswith("ticket.") else f"ticket.{event}",
        category=fields.get("category", ""),
        priority=fields.get("priority", ""),
        department=storable(fields.get("department", "")).strip(),
        team=storable(fields.get("team", "")).strip(),
    )
    try:
        valid = validated(subscription, get_settings().categories, endpoints)
    except InvalidSubscription as error:
        raise InvalidSettings(str(error)) from None
    return {name: getattr(valid, name) for name in subscriptions.FIELDS}


def _channel(recipient: str, endpoints: set[tuple[str, str]]) -> str:
    """Return the channel of a recipient: an e-mail address, the name of an endpoint, or a user name."""
    if "@" in recipient:
        return "email"
    return next((channel for channel, name in endpoints if name == recipient), "in_app")


def _preference(fields: Fields, before: Mapping[str, str] | None = None) -> Row:
    recipient = fields.get("recipient", "")
    if not (is_email(recipient) or is_user(recipient)):
        raise InvalidSettings(f"recipient: {recipient[:80]!r} is neither an e-mail address nor a user name")
    row = dict(before) if before else dict.fromkeys(preferences.FIELDS, "") | {"digest_at": DEFAULT_DIGEST_AT}
    for name in ("language", "timezone", "digest", "digest_at"):
        if name in fields:
            value = fields[name].strip() if name == "timezone" else fields[name].strip().lower()
            row[name] = (DEFAULT_DIGEST_AT if name == "digest_at" else "") if value.lower() in NONE else value
    if "quiet" in fields:
        hours = fields["quiet"].strip().lower()
        first, dash, last = hours.partition("-")
        if hours not in NONE and not (dash and first.strip()):
            raise InvalidSettings("quiet: must be two different times such as 22:00-07:00, or none")
        row["quiet_from"], row["quiet_to"] = ("", "") if hours in NONE else (first.strip(), last.strip())
    if problem := quiet_hours.problem(quiet_hours.preference(row, get_settings().timezone)):
        raise InvalidSettings(problem)
    return row


# -- files ------------------------------------------------------------------------------------------------------------


def import_settings(path: Path, dry_run: bool = False) -> Changes:
    """Apply the settings of a file, all or none; idempotent. Returns the changes. Raises InvalidSettings."""
    entries, errors = _read(path)
    with reading() if dry_run else transaction() as session:
        subscribed, preferred = _checked(entries, subscriptions.endpoints(session), errors)
        if errors:
            lines = [f"{path}: line {line}: {message}" for line, message in sorted(errors)]
            raise InvalidSettings("\n".join([*lines, "nothing was changed"]))
        changes = _compared(session, subscribed, preferred)
        if not dry_run:
            subscriptions.add(session, changes.new)
            for each in changes.changed:
                preferences.save(session, each["recipient"], preferred[each["recipient"]])
                digest.reschedule(session, each["recipient"])
    return changes


def export_settings() -> str:
    """Return all subscriptions and preferences as YAML, for `import_settings`."""
    import yaml

    with reading() as session:
        subscribed = subscriptions.all_subscriptions(session)
        preferred = [as_written(name, row) for name, row in preferences.all_preferences(session).items()]
    content = {"subscriptions": list(map(_set_fields, subscribed)), "preferences": list(map(_set_fields, preferred))}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000)


def _set_fields(row: Row) -> Row:
    return {name: value for name, value in row.items() if value}


def _compared(session: Session, subscribed: list[Row], preferred: dict[str, Row]) -> Changes:
    changes = Changes()
    existing = {tuple(row.values()) for row in subscriptions.all_subscriptions(session)}
    for row in subscribed:
        if tuple(row.values()) in existing:
            changes.known += 1
        else:
            existing.add(tuple(row.values()))
            changes.new.append(row)
    before = preferences.all_preferences(session)
    for name, row in preferred.items():
        if before.get(name) == row:
            changes.same += 1
        else:
            changes.changed.append(as_written(name, row))
    return changes


def _checked(
    entries: list[Entry], endpoints: set[tuple[str, str]], errors: list[LineError]
) -> tuple[list[Row], dict[str, Row]]:
    """Return the subscriptions, and the preferences by recipient; adds invalid entries to the errors."""
    subscribed: list[Row] = []
    preferred: dict[str, Row] = {}
    lines: dict[str, int] = {}
    for kind, line, fields in entries:
        try:
            if kind == "subscriptions":
                subscribed.append(_subscription(fields, endpoints))
                continue
            row, name = _preference(fields), fields["recipient"].lower()
            if name in lines:
                raise InvalidSettings(f"recipient: {name!r} is in line {lines[name]}, too; remove one of them")
            preferred[name], lines[name] = row, line
        except InvalidSettings as error:
            errors.append((line, str(error)))
    return subscribed, preferred


def _read(path: Path) -> tuple[list[Entry], list[LineError]]:
    """Return the entries of a file and the errors in it. Raises InvalidSettings for a file of another form.

    Scalars are read as texts: YAML converts 18:00 to 1080 and `no` to false.
    """
    import yaml

    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidSettings(f"{path}: has more than {MAX_BYTES} bytes; split the file")
        root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except RecursionError:
        raise InvalidSettings(f"{path}: is nested too deeply") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidSettings(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(root, yaml.MappingNode):
        raise InvalidSettings(f"{path}: must hold `subscriptions:` and `preferences:`, each with a list of entries")
    entries: list[Entry] = []
    errors: list[LineError] = []
    for key, listed in root.value:
        fields = FIELDS.get(key.value) if isinstance(key, yaml.ScalarNode) else None
        if fields is None:
            errors.append((_line(key), f"there is no {_shown(key)}; there are {' and '.join(FIELDS)}"))
        elif not isinstance(listed, yaml.SequenceNode):
            if listed.value != "":  # a list without entries may be left empty
                errors.append((_line(key), f"{key.value} must be a list of entries"))
        else:
            for each in listed.value:
                try:
                    entries.append((key.value, _line(each), _entry_fields(each, fields)))
                except InvalidSettings as error:
                    errors.append((_line(each), str(error)))
    return entries, errors


def _line(node: Any) -> int:
    line: int = node.start_mark.line
    return line + 1


def _entry_fields(node: Any, allowed: tuple[str, ...]) -> Fields:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise InvalidSettings(f"must be an entry with the fields {', '.join(allowed)}")
    fields: dict[str, str] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value not in allowed:
            raise InvalidSettings(f"{_shown(key)}: there is no such field; there are {', '.join(allowed)}")
        if not isinstance(value, yaml.ScalarNode):
            raise InvalidSettings(f"{key.value}: must be a single text")
        if key.value in fields:
            raise InvalidSettings(f"{key.value}: occurs twice")
        fields[key.value] = "" if value.tag.endswith(":null") else value.value
    return fields


def _shown(node: Any) -> str:
    return repr(str(node.value)[:40]) if isinstance(node.value, str) else "such key"
