"""Digests: deliver delayed notifications, as one message when a recipient has more than one.

A notification is delayed by quiet hours, by the recipient's digest, or by a storm (see `aura.notifications.digest_policy`).
Its row is in state `delayed`, and one `digest` job for each (channel, recipient) is enqueued for its time in the same
transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from actors import notification_settings
from aura.jobs import tracing
from aura.jobs.actor import JobResult, durable
from aura.jobs.attempt import Permanent
from aura.notifications import DIGEST, DigestItem, Preference, digest_policy, quiet_hours, render_digest
from aura.notifications.decide import Notification
from aura.settings import get_settings
from db import digests, jobs, notifications, reading
from db.digests import DelayedNotification
from db.jobs import Claimed, NewJob

#: Notifications of one digest; further ones make another digest at once.
DIGEST_LIMIT = 10_000
#: Notifications whose facts a digest lists for programs.
FACTS_LIMIT = 100
#: Traces that a digest's span links to.
LINKS_LIMIT = 100
#: Priority of the jobs that deliver what was delayed.
PRIORITY = 3


def load_delays(
    new: Sequence[Notification], preferences: Mapping[str, Preference]
) -> dict[Notification, tuple[datetime, float]]:
    """Return until when, and for how many seconds, each new notification that must wait is delayed."""
    limit = get_settings().digest_above
    delayable = [each for each in new if digest_policy.can_be_delayed(each)]
    if not delayable or not (preferences or limit):
        return {}
    addresses = {(each.channel, each.recipient) for each in delayable} if limit else set()
    with reading() as session:
        recent, now = digests.count_recent(session, addresses, limit)
    delays = digest_policy.delays(delayable, preferences, recent, limit, now)
    return {each: (until, (until - now).total_seconds()) for each, until in delays.items()}


def digest_job(channel: str, recipient: str, seconds: float) -> NewJob:
    """Return the job that delivers the due notifications of a recipient in so many seconds.

    Keys of jobs are logged, so this one holds a digest of the address.
    """
    key = f"{channel}:{hashlib.sha256(recipient.encode()).hexdigest()}"
    return NewJob("digest", key, [channel, recipient], priority=PRIORITY, delay=seconds)


def reschedule(session: Session, recipient: str) -> int:
    """Apply a changed preference to the delayed notifications of a recipient. Returns their number.

    Call it in the transaction that changes the preference, so that no worker sees the one without the other.
    """
    preferences, now = notification_settings.load_preferences(session), digests.current_time(session)
    count = 0
    for channel, address in digests.delayed_addresses(session, notification_settings.aliases(session, recipient)):
        preference = preferences.get(address.lower())
        until = (quiet_hours.delay_until(preference, now) if preference else None) or now
        count += digests.reschedule(session, channel, address, until, quiet_hours.URGENT_EVENTS)
        jobs.enqueue(session, [digest_job(channel, address, (until - now).total_seconds())])
    return count


# -- the actor --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DigestPlan:
    """The due notifications of one recipient: ids to deliver, alone or as a digest, and ids to delay again."""

    channel: str
    recipient: str
    deliver: list[str] = field(default_factory=list)
    #: The row of the digest when more than one is delivered.
    digest: dict[str, Any] | None = None
    delay: list[str] = field(default_factory=list)
    delay_until: datetime | None = None
    #: The spans that wrote the delivered notifications.
    spans: list[str] = field(default_factory=list)


def save_digested(session: Session, done: list[JobResult]) -> None:
    """Write each digest, update its members, enqueue the delivery, and the next digest job when more is delayed."""
    for each in done:
        plan: DigestPlan = each.result
        deliver, traceparent = plan.deliver, each.traceparent
        if plan.digest is not None:
            deliver = [plan.digest["id"]]
            notifications.write(session, [plan.digest])
            digests.move(session, plan.deliver, state="digested", digest_id=plan.digest["id"])
        else:
            # a single notification stays in its own trace; the span of a digest links to those of its members
            traceparent = plan.spans[0] if plan.spans else traceparent
            digests.move(session, plan.deliver, state="enqueued", delayed_until=None)
        digests.move(session, plan.delay, delayed_until=plan.delay_until)
        new_jobs = [NewJob(plan.channel, key, priority=PRIORITY, traceparent=traceparent) for key in deliver]
        seconds = digests.seconds_to_next(session, plan.channel, plan.recipient)
        if seconds is not None:
            new_jobs.append(digest_job(plan.channel, plan.recipient, seconds))
        jobs.enqueue(session, new_jobs)


@durable(queue_name="tickets.notify", save=save_digested)
def digest(batch: list[Claimed]) -> list[DigestPlan | Permanent]:
    """Deliver the due notifications of each recipient, as one digest when there are several."""
    with reading() as session:
        preferences = notification_settings.load_preferences(session)
    return [
        _plan(job, job.args[0], job.args[1], preferences)
        if len(job.args) == 2
        else Permanent("args: a digest job needs a channel and a recipient")
        for job in batch
    ]


def _plan(job: Claimed, channel: str, recipient: str, preferences: Mapping[str, Preference]) -> DigestPlan:
    with reading() as session:
        due = digests.due(session, channel, recipient, DIGEST_LIMIT)
        now = digests.current_time(session)
    preference = preferences.get(recipient.lower())
    deliver, delay, until = digest_policy.split_due(due, preference, now)
    spans = list(dict.fromkeys(each.traceparent for each in deliver if each.traceparent))[:LINKS_LIMIT]
    row = None
    if len(deliver) > 1:
        tracing.link(job, spans)
        language = digest_policy.digest_language([each.data.get("language", "") for each in deliver], preference)
        row = _row(channel, recipient, deliver, language)
    ids, delayed_ids = [each.id for each in deliver], [each.id for each in delay]
    return DigestPlan(channel, recipient, ids, row, delayed_ids, until, spans)


def _row(channel: str, recipient: str, members: Sequence[DelayedNotification], language: str) -> dict[str, Any]:
    """Return the row of the digest; its id depends on its members alone, so a repeated attempt writes the same one."""
    base_url = get_settings().base_url
    message = render_digest([_item(each) for each in members], language, base_url)
    ticket_ids = {each.ticket_id for each in members}
    identity = hashlib.sha256(" ".join(sorted(each.id for each in members)).encode()).hexdigest()
    return {
        "id": identity[:32],
        "ticket_id": ticket_ids.pop() if len(ticket_ids) == 1 else None,
        "event": DIGEST,
        "channel": channel,
        "recipient": recipient,
        "role": members[0].role,
        "dedupe_key": f"{DIGEST}:{identity}",
        "subject": message.subject,
        "body": message.text,
        "data": {
            "event": DIGEST,
            "count": len(members),
            "notifications": [each.data for each in members[:FACTS_LIMIT]],
            "language": language,
            "url": f"{base_url}/tickets",
        },
        "state": "enqueued",
    }


def _item(notification: DelayedNotification) -> DigestItem:
    data = notification.data
    title = str(data.get("title") or notification.subject)
    category, priority = str(data.get("category", "")), str(data.get("priority", ""))
    return DigestItem(notification.event, notification.ticket_id, title, category, priority)
