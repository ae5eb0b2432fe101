"""Folding: what must wait for its recipient, and becomes one message when there is more than one of it.

A notification waits for the end of quiet hours, for the next digest, or, in a storm, for the end of the minute; what is
about a critical ticket never does. It is a row like any other, in the state waiting, and `digest` is promised for its time
in the same transaction, one job for each recipient.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from actors import notification_settings
from aura.jobs import tracing
from aura.jobs.actor import JobResult, durable
from aura.jobs.attempt import Permanent
from aura.notifications import DIGEST, DigestItem, Preference, delay_until, quiet_hours, quiet_until, render_digest
from aura.settings import get_settings
from db import digests, jobs, notifications, reading
from db.digests import Waiting
from db.jobs import Claimed, NewJob

#: Priority that never waits.
CRITICAL = "critical"
#: Most notifications that become one; more become another one at once.
MOST_DIGESTED = 10_000
#: Facts of a digest's parts that programs get.
MOST_FACTS = 100
#: Most traces that a digest's span is linked to.
MOST_LINKS = 100
#: A digest's place in the queue of its channel.
PRIORITY = 3


def delay(rows: Sequence[dict[str, Any]], preferred: Mapping[str, Preference]) -> None:
    """Let those of the new rows wait that must: quiet hours and digests first, then storms."""
    above = get_settings().digest_above
    loud = [row for row in rows if row["channel"] != "in_app" and row["data"]["priority"] != CRITICAL]
    if not loud or not (preferred or above):
        return
    with reading() as session:
        choosy = [(row, preferred[row["recipient"].lower()]) for row in loud if row["recipient"].lower() in preferred]
        if choosy:
            clock = digests.clock(session)
            for row, preference in choosy:
                if row["event"] not in quiet_hours.PRESSING:
                    _wait(row, delay_until(preference, clock), clock)
        going = [row for row in loud if row["state"] == "enqueued"] if above else []
        counted, moment = digests.recent(session, {_address(row) for row in going}, above)
    count = Counter(counted)
    for row in going:
        count[_address(row)] += 1
        if count[_address(row)] > above and moment is not None:
            _wait(row, _end_of_minute(moment), moment)


def digest_job(row: Mapping[str, Any]) -> NewJob:
    """Return the promise to look after a row that waits, when it has waited long enough."""
    return _fold(row["channel"], row["recipient"], row["seconds"])


def reschedule(session: Session, recipient: str) -> int:
    """Let what waits for somebody wait from now on as they prefer now. Returns how many notifications that are.

    Part of the transaction that changes the preference, so that no worker sees one without the other.
    """
    preferred, clock = notification_settings.preference_of(session), digests.clock(session)
    moved = 0
    for channel, address in digests.waited_for(session, notification_settings.names_of(session, recipient)):
        preference = preferred.get(address.lower())
        until = delay_until(preference, clock) if preference else None
        moved += digests.reschedule(session, channel, address, until or clock, quiet_hours.PRESSING)
        jobs.enqueue(session, [_fold(channel, address, ((until or clock) - clock).total_seconds())])
    return moved


def _address(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["channel"], row["recipient"]


def _end_of_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _wait(row: dict[str, Any], until: datetime | None, clock: datetime) -> None:
    if until is not None:
        row |= {"state": "delayed", "delayed_until": until, "seconds": (until - clock).total_seconds()}


def _fold(channel: str, recipient: str, seconds: float) -> NewJob:
    key = f"{channel}:{recipient}"
    if len(key) > 200:  # a job's key has an end, and an address may be longer
        key = f"{channel}:{hashlib.sha256(recipient.encode()).hexdigest()}"
    return NewJob("digest", key, [channel, recipient], priority=PRIORITY, delay=seconds)


# -- fold: what has waited long enough --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DigestPlan:
    """What goes out to one recipient now: one notification as it is, or the digest of several."""

    channel: str
    recipient: str
    members: list[str] = field(default_factory=list)
    digest: dict[str, Any] | None = None
    #: What waits on, because its time has come in the middle of quiet hours, and their end.
    held: list[str] = field(default_factory=list)
    until: datetime | None = None
    #: The spans that wrote what goes out.
    spans: list[str] = field(default_factory=list)


def save_digested(session: Session, done: list[JobResult]) -> None:
    """Write each digest, mark what is in it, promise its delivery, and come back for what waits longer: all or nothing."""
    for each in done:
        folding: DigestPlan = each.result
        going = folding.members
        if folding.digest is not None:
            going = [folding.digest["id"]]
            notifications.write(session, [folding.digest])
            digests.move(session, folding.members, state="digested", digest_id=folding.digest["id"])
        else:
            digests.move(session, folding.members, state="enqueued", delayed_until=None)
        digests.move(session, folding.held, delayed_until=folding.until)
        # what goes alone stays in its own trace; a digest is of several, to which the span of this job is linked
        span = folding.spans[0] if folding.digest is None and folding.spans else each.traceparent
        promises = [NewJob(folding.channel, key, priority=PRIORITY, traceparent=span) for key in going]
        seconds = digests.next_end(session, folding.channel, folding.recipient)
        if seconds is not None:
            promises.append(_fold(folding.channel, folding.recipient, seconds))
        jobs.enqueue(session, promises)


@durable(queue_name="tickets.notify", save=save_digested)
def digest(batch: list[Claimed]) -> list[DigestPlan | Permanent]:
    """Find what has waited long enough for each recipient, and word the digest when it is more than one."""
    with reading() as session:
        preferred = notification_settings.preference_of(session)
    return [
        _folding(job, job.args[0], job.args[1], preferred)
        if len(job.args) == 2
        else Permanent("digest takes a channel and a recipient")
        for job in batch
    ]


def _folding(job: Claimed, channel: str, recipient: str, preferred: Mapping[str, Preference]) -> DigestPlan:
    with reading() as session:
        over = digests.over(session, channel, recipient, MOST_DIGESTED)
        clock = digests.clock(session)
    preference = preferred.get(recipient.lower())
    # it may be later than it should be, as when no worker ran
    until = quiet_until(preference, clock) if preference else None
    members = [each for each in over if until is None or each.event in quiet_hours.PRESSING]
    ids = [each.id for each in members]
    held = [each.id for each in over if until is not None and each.event not in quiet_hours.PRESSING]
    spans = list(dict.fromkeys(each.traceparent for each in members if each.traceparent))[:MOST_LINKS]
    digest = None
    if len(members) > 1:
        tracing.link(job, spans)
        spoken = Counter(each.data.get("language", "") for each in members).most_common(1)[0][0]
        language = (preference.language if preference else "") or spoken
        digest = _digest(channel, recipient, members, language)
    return DigestPlan(channel, recipient, ids, digest, held, until, spans)


def _digest(channel: str, recipient: str, members: Sequence[Waiting], language: str) -> dict[str, Any]:
    """Return the notification that stands for all of these; the same ones make the same one."""
    base_url = get_settings().base_url
    wording = render_digest([_part(each) for each in members], language, base_url)
    about = {each.ticket_id for each in members}
    identity = hashlib.sha256(" ".join(sorted(each.id for each in members)).encode()).hexdigest()
    return {
        "id": identity[:32],
        "ticket_id": about.pop() if len(about) == 1 else None,
        "event": DIGEST,
        "channel": channel,
        "recipient": recipient,
        "role": members[0].role,
        "dedupe_key": f"{DIGEST}:{identity}",
        "subject": wording.subject,
        "body": wording.text,
        "data": {
            "event": DIGEST,
            "count": len(members),
            "notifications": [each.data for each in members[:MOST_FACTS]],
            "language": language,
            "url": f"{base_url}/tickets",
        },
        "state": "enqueued",
    }


def _part(waiting: Waiting) -> DigestItem:
    said = waiting.data
    title = str(said.get("title") or waiting.subject)
    return DigestItem(
        waiting.event, waiting.ticket_id, title, str(said.get("category", "")), str(said.get("priority", ""))
    )
