"""What people ask for: to be told of more, and how. By hand, or for everybody at once from a YAML file:

    subscriptions:
    - {recipient: boss@example.com, event: ticket.escalated, priority: high}
    - {recipient: desk-slack, channel: slack, category: Network}
    preferences:
    - {recipient: boss@example.com, language: de, timezone: Europe/Berlin, quiet: 22:00-07:00, digest: daily}

A file adds subscriptions, and replaces the whole preference of whom it names; what it does not name stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from actors import digest
from aura.errors import InvalidInput
from aura.notifications import Subscription, is_email, quiet_hours
from aura.notifications.recipients import is_user
from aura.notifications.subscriptions import ALL, InvalidSubscription, validated
from aura.settings import get_settings
from db import preferences, reading, subscriptions, transaction
from db.new_tickets import storable

#: What an entry of the file may say.
SUBSCRIPTION = subscriptions.FIELDS
PREFERENCE = ("recipient", "language", "timezone", "quiet", "digest", "digest_at")
#: What takes a preference back.
NONE = ("", "none")
#: Most bytes of a file.
LARGEST = 1_000_000

FIELDS: Mapping[str, tuple[str, ...]] = {"subscriptions": SUBSCRIPTION, "preferences": PREFERENCE}

Row = dict[str, str]
#: What somebody wrote: the fields with their texts.
Said = Mapping[str, str]
#: A kind of entry, the number of its line, and what it says.
Entry = tuple[str, int, Said]
#: The number of a line, and what is wrong there.
Wrong = tuple[int, str]


class InvalidSettings(InvalidInput):
    """It cannot be asked for; the text names the field and the fix, of a file in a line for each wrong entry."""


@dataclass(slots=True)
class Imported:
    """What a file changes, or would change."""

    new: list[Row] = field(default_factory=list)
    known: int = 0
    #: Preferences, as a person writes them.
    changed: list[Row] = field(default_factory=list)
    same: int = 0


# -- by hand ----------------------------------------------------------------------------------------------------------


def subscribe(said: Said) -> tuple[Row, bool]:
    """Subscribe somebody. Returns the subscription, and whether it is new. Raises WrongWish."""
    with transaction() as session:
        row = _subscription(said, subscriptions.endpoints(session))
        return row, subscriptions.add(session, [row]) == 1


def set_preference(recipient: str, said: Said) -> tuple[Row, int]:
    """Change these preferences of somebody. Returns all of theirs, and how much of what waits goes by them now.

    Raises WrongWish.
    """
    with transaction() as session:
        row = _preference({"recipient": recipient, **said}, preferences.all_preferences(session).get(recipient.lower()))
        preferences.save(session, recipient, row)
        return as_written(recipient.lower(), row), digest.reschedule(session, recipient)


def remove_preference(recipient: str) -> int:
    """Forget the preferences of somebody. Returns how much of what waits goes at once now. Raises WrongWish."""
    with transaction() as session:
        if not preferences.remove(session, recipient):
            raise InvalidSettings(f"{recipient[:254]!r} has no preferences; `aura preferences list` shows who has")
        return digest.reschedule(session, recipient)


def as_written(recipient: str, row: Mapping[str, str]) -> Row:
    """Return a preference as a person writes it; what is not set is empty."""
    hours = f"{row['quiet_from']}-{row['quiet_to']}" if row["quiet_from"] else ""
    at = row["digest_at"] if row["digest"] == "daily" else ""
    values = (row["language"], row["timezone"], hours, row["digest"], at)
    return dict(zip(PREFERENCE, (recipient, *values), strict=True))


def _subscription(said: Said, endpoints: set[tuple[str, str]]) -> Row:
    recipient = said.get("recipient", "").strip()
    channel = said.get("channel", "").lower() or _channel(recipient, endpoints)
    event = said.get("event", "").lower() or ALL
    wanted = Subscription(
        recipient=recipient,
        channel=channel,
        event=event if event == ALL or event.startswith("ticket.") else f"ticket.{event}",
        category=said.get("category", ""),
        priority=said.get("priority", ""),
        department=storable(said.get("department", "")).strip(),
        team=storable(said.get("team", "")).strip(),
    )
    try:
        right = validated(wanted, get_settings().categories, endpoints)
    except InvalidSubscription as error:
        raise InvalidSettings(str(error)) from None
    return {name: getattr(right, name) for name in subscriptions.FIELDS}


def _channel(recipient: str, endpoints: set[tuple[str, str]]) -> str:
    """Return how somebody is reached who is called so: an address, the name of an endpoint, or that of a user."""
    return "email" if "@" in recipient else next((its for its, name in endpoints if name == recipient), "in_app")


def _preference(said: Said, before: Mapping[str, str] | None = None) -> Row:
    recipient = said.get("recipient", "")
    if not (is_email(recipient) or is_user(recipient)):
        raise InvalidSettings(f"recipient: {recipient[:80]!r} is no e-mail address and no user name")
    row = dict(before) if before else dict.fromkeys(preferences.FIELDS, "") | {"digest_at": "08:00"}
    for name in ("language", "timezone", "digest", "digest_at"):
        if name in said:
            value = said[name].strip() if name == "timezone" else said[name].strip().lower()
            row[name] = ("08:00" if name == "digest_at" else "") if value.lower() in NONE else value
    if "quiet" in said:
        hours = said["quiet"].strip().lower()
        first, dash, last = hours.partition("-")
        if hours not in NONE and not (dash and first.strip()):
            raise InvalidSettings("quiet: must be two different times such as 22:00-07:00, or none")
        row["quiet_from"], row["quiet_to"] = ("", "") if hours in NONE else (first.strip(), last.strip())
    if wrong := quiet_hours.problem(quiet_hours.preference(row, get_settings().timezone)):
        raise InvalidSettings(wrong)
    return row


# -- from and to a file -----------------------------------------------------------------------------------------------


def import_settings(path: Path, dry_run: bool = False) -> Imported:
    """Ask for all that the file says, all or none; twice is as once. Returns what changed. Raises WrongWish."""
    entries, wrong = _read(path)
    with reading() if dry_run else transaction() as session:
        wanted, preferred = _checked(entries, subscriptions.endpoints(session), wrong)
        if wrong:
            said = [f"{path}: line {line}: {what}" for line, what in sorted(wrong)]
            raise InvalidSettings("\n".join([*said, "nothing was changed"]))
        imported = _compared(session, wanted, preferred)
        if not dry_run:
            subscriptions.add(session, imported.new)
            for each in imported.changed:
                preferences.save(session, each["recipient"], preferred[each["recipient"]])
                digest.reschedule(session, each["recipient"])
    return imported


def export_settings() -> str:
    """Return all subscriptions and preferences as the YAML that `import_wishes` takes."""
    import yaml

    with reading() as session:
        wanted = subscriptions.all_subscriptions(session)
        preferred = [as_written(name, row) for name, row in preferences.all_preferences(session).items()]
    said = {"subscriptions": list(map(_full, wanted)), "preferences": list(map(_full, preferred))}
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000)


def _full(row: Row) -> Row:
    return {name: value for name, value in row.items() if value}


def _compared(session: Session, wanted: list[Row], preferred: dict[str, Row]) -> Imported:
    imported = Imported()
    known = {tuple(row.values()) for row in subscriptions.all_subscriptions(session)}
    for row in wanted:
        if tuple(row.values()) in known:
            imported.known += 1
        else:
            known.add(tuple(row.values()))
            imported.new.append(row)
    before = preferences.all_preferences(session)
    for name, row in preferred.items():
        if before.get(name) == row:
            imported.same += 1
        else:
            imported.changed.append(as_written(name, row))
    return imported


def _checked(
    entries: list[Entry], endpoints: set[tuple[str, str]], wrong: list[Wrong]
) -> tuple[list[Row], dict[str, Row]]:
    wanted: list[Row] = []
    preferred: dict[str, Row] = {}
    lines: dict[str, int] = {}
    for kind, line, said in entries:
        try:
            if kind == "subscriptions":
                wanted.append(_subscription(said, endpoints))
                continue
            row, name = _preference(said), said["recipient"].lower()
            if name in lines:
                raise InvalidSettings(f"recipient: {name!r} stands in line {lines[name]} too; leave one of the two")
            preferred[name], lines[name] = row, line
        except InvalidSettings as error:
            wrong.append((line, str(error)))
    return wanted, preferred


def _read(path: Path) -> tuple[list[Entry], list[Wrong]]:
    """Return the entries of a file, and what is none. Raises WrongWish for what is no such file.

    Texts are taken as they stand: YAML itself would make 1080 of 18:00, and false of `no`.
    """
    import yaml

    try:
        if path.stat().st_size > LARGEST:
            raise InvalidSettings(f"{path}: is larger than {LARGEST} bytes; split it")
        root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except RecursionError:
        raise InvalidSettings(f"{path}: is nested too deeply") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidSettings(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(root, yaml.MappingNode):
        raise InvalidSettings(f"{path}: must hold `subscriptions:` and `preferences:`, each with a list of entries")
    entries: list[Entry] = []
    wrong: list[Wrong] = []
    for key, listed in root.value:
        fields = FIELDS.get(key.value) if isinstance(key, yaml.ScalarNode) else None
        if fields is None:
            wrong.append((_line(key), f"there is no {_shown(key)}; there are {' and '.join(FIELDS)}"))
        elif not isinstance(listed, yaml.SequenceNode):
            if listed.value != "":  # a list without entries may be left empty
                wrong.append((_line(key), f"{key.value} must be a list of entries"))
        else:
            for each in listed.value:
                try:
                    entries.append((key.value, _line(each), _said(each, fields)))
                except InvalidSettings as error:
                    wrong.append((_line(each), str(error)))
    return entries, wrong


def _line(node: Any) -> int:
    line: int = node.start_mark.line
    return line + 1


def _said(node: Any, known: tuple[str, ...]) -> Said:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise InvalidSettings(f"must be an entry with the fields {', '.join(known)}")
    said: dict[str, str] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value not in known:
            raise InvalidSettings(f"{_shown(key)}: there is no such field; there are {', '.join(known)}")
        if not isinstance(value, yaml.ScalarNode):
            raise InvalidSettings(f"{key.value}: must be one text")
        if key.value in said:
            raise InvalidSettings(f"{key.value}: stands there twice")
        said[key.value] = "" if value.tag.endswith(":null") else value.value
    return said


def _shown(node: Any) -> str:
    return repr(str(node.value)[:40]) if isinstance(node.value, str) else "such key"
