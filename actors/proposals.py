"""Notifications of proposed incidents: people are notified once of each, in the transaction that records it.

No actor: the incident sweep of the scheduler calls it. A delivery is enqueued, delayed and resent like that of a ticket.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from actors import digest, notification_settings
from actors.analysis import JOB_PRIORITY
from actors.notify import NewRow, write_rows
from aura.notifications import IncidentFacts, incident_link, render_incident
from aura.notifications.decide import IncidentState, Notification, decide_proposal
from aura.settings import PRIORITIES, get_settings
from db import incidents

#: Proposals of one sweep; further ones are announced by the next.
PROPOSALS_LIMIT = 100
#: Numbers of tickets in the facts for programs.
TICKETS_LIMIT = 100


def announce_proposals(session: Session) -> int:
    """Notify people of the proposed incidents of which nobody was notified. Returns their number.

    The caller holds the lock of incident detection, so that no other process announces them too.
    """
    proposals = incidents.unnotified_proposals(session, PROPOSALS_LIMIT)
    if not proposals:
        return 0
    settings = notification_settings.load_settings(session)
    for proposal in proposals:
        children = incidents.tickets_of(session, proposal.id)
        state = _state(proposal, children)
        decision = decide_proposal(state, settings, get_settings().service_desk)
        delays = digest.load_delays(decision, settings.preferences)
        facts = IncidentFacts(proposal.id, proposal.title, proposal.category, state.priority, len(children))
        rows = []
        for each in decision:
            row, delay = _row(facts, each, [child.id for child in children[:TICKETS_LIMIT]]), 0.0
            if each in delays:
                until, delay = delays[each]
                row |= {"state": "delayed", "delayed_until": until}
            rows.append(NewRow(row, delay, JOB_PRIORITY[state.priority]))
        write_rows(session, rows)
    incidents.mark_notified(session, [proposal.id for proposal in proposals])
    return len(proposals)


def _state(proposal: Any, children: Sequence[Any]) -> IncidentState:
    urgencies = [PRIORITIES.index(child.priority) for child in children if child.priority in PRIORITIES]
    languages = Counter(child.language or "en" for child in children)
    return IncidentState(
        id=proposal.id,
        category=proposal.category,
        priority=PRIORITIES[max(urgencies)] if urgencies else "medium",
        language=languages.most_common(1)[0][0] if languages else "en",
        assignees=tuple(sorted({child.assignee for child in children if child.assignee})),
    )


def _row(facts: IncidentFacts, notification: Notification, children: Sequence[int]) -> dict[str, Any]:
    base_url = get_settings().base_url
    message = render_incident(facts, notification.language, base_url)
    return {
        "id": uuid.uuid4().hex,
        "ticket_id": None,
        "event": notification.event,
        "channel": notification.channel,
        "recipient": notification.recipient,
        "role": notification.role,
        "dedupe_key": notification.dedupe_key,
        "subject": message.subject,
        "body": message.text,
        "data": {
            "event": notification.event,
            "ticket_id": None,
            "incident": facts.id,
            "tickets": list(children),
            "title": facts.title,
            "category": facts.category,
            "priority": facts.priority,
            "language": notification.language,
            "url": incident_link(base_url, facts.id),
        },
        "state": "sent" if notification.channel == "in_app" else "enqueued",
    }
