"""`aura notifications`: sent, delayed and in-doubt notifications, and a preview of their texts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from aura.cli.database import apply_to_all, reads, writes
from aura.cli.options import FormatOption, LimitOption
from aura.cli.output import note, print_json, print_result, print_rows
from aura.errors import InvalidInput, NotFound

app = typer.Typer(
    name="notifications",
    help="Notifications: list, resend, settle those in doubt, preview the texts.",
    no_args_is_help=True,
)

State = Literal["enqueued", "delayed", "sending", "in_doubt", "sent", "digested", "cancelled"]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="From `aura notifications list`.")]


@app.command("list")
def list_(
    state: Annotated[
        State | None, typer.Option(help="delayed: sent later. in_doubt: no answer shows whether it was delivered.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only of this channel, such as email or in_app.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Only to this address, user name or endpoint.")] = None,
    ticket: Annotated[int | None, typer.Option(help="Only of this ticket.")] = None,
    limit: LimitOption = 50,
    fmt: FormatOption = "table",
) -> None:
    """List notifications, the newest first.

    Example: aura notifications list --state in_doubt
    """
    with reads() as session:
        from db import notifications

        rows = notifications.overview(session, state, ticket, limit, channel, recipient)
        in_doubt = 0 if state == "in_doubt" else notifications.in_doubt_count(session)
    columns = ("id", "ticket_id", "event", "channel", "recipient", "state", "delayed_until", "created_at")
    print_rows(rows, columns, fmt, "No such notifications.")
    if in_doubt:
        note(f"{in_doubt} in doubt: `aura notifications list --state in_doubt`, then `resend` or `settle` each.")


@app.command("delayed")
def delayed(fmt: FormatOption = "table") -> None:
    """Count the delayed notifications of each recipient, with the time at which they are sent.

    Example: aura notifications delayed
    """
    with reads() as session:
        from db import digests

        rows = digests.overview(session)
    print_rows(rows, ("channel", "recipient", "delayed", "delayed_until"), fmt, "No delayed notifications.")


@app.command("resend")
def resend(ids: Ids, fmt: FormatOption = "table") -> None:
    """Send notifications now, in any state; all or none. Each keeps its id, so that a receiver recognises a repeat.

    Example: aura notifications resend 4f1c2d9a8b7e
    """
    with writes() as session:
        from db import jobs, notifications
        from db.jobs import NewJob

        new_jobs = [NewJob(notifications.resend(session, each), each, priority=5) for each in ids]
        jobs.enqueue(session, new_jobs)
    print_result(fmt, {"enqueued": ids}, *(f"{each.key} enqueued for {each.actor}" for each in new_jobs))


@app.command("settle")
def settle(ids: Ids, fmt: FormatOption = "table") -> None:
    """Record that notifications in doubt were delivered; all or none.

    Example: aura notifications settle 4f1c2d9a8b7e
    """
    from db import notifications

    apply_to_all(ids, notifications.settle)
    print_result(fmt, {"settled": ids}, *(f"{each} settled as delivered" for each in ids))


@app.command("preview")
def preview(
    event: Annotated[str | None, typer.Option(help="Such as ticket.escalated, or escalated. Default: all.")] = None,
    language: Annotated[
        Literal["en", "de", "fr", "es", "it", "pt", "nl", "pl"],
        typer.Option(help="Agents and teams get the others in the default language."),
    ] = "en",
    role: Annotated[
        Literal["requester", "cc", "agent", "team", "subscriber"] | None,
        typer.Option(help="Default: every role that is notified without a subscription, else subscriber."),
    ] = None,
    ticket: Annotated[int | None, typer.Option(help="Number of a ticket. Default: an example.")] = None,
    fmt: Annotated[
        Literal["text", "html", "json"], typer.Option("--format", help="text and html are the parts of an e-mail.")
    ] = "text",
) -> None:
    """Show the text of each event's notification, without sending it.

    Example: aura notifications preview --event escalated --language de
    """
    from aura.notifications import EVENTS, as_html, render_message
    from aura.notifications.recipients import AUDIENCE
    from aura.notifications.render import CC_EVENT
    from aura.settings import get_settings

    known = (CC_EVENT,) if role == "cc" else EVENTS
    events = [each for each in known if event is None or event.lower() in (each, each.removeprefix("ticket."))]
    if not events:
        raise InvalidInput(f"event: there is no {str(event)[:80]!r}; there are {', '.join(known)}")
    facts = _facts(ticket)
    base_url = get_settings().base_url
    previews: list[dict[str, Any]] = []
    for each in events:
        for reader in (role,) if role else (AUDIENCE[each] or ("subscriber",)):
            message = render_message(each, reader, language, facts, base_url)
            html = as_html(message, language)
            preview = {"event": each, "role": reader, "language": language}
            previews.append(preview | {"subject": message.subject, "text": message.text, "html": html})
    if fmt == "json":
        print_json(previews)
        return
    for preview in previews:
        note(f"--- {preview['event']} to the {preview['role']}")
        print_result("table", None, preview["html"] if fmt == "html" else f"{preview['subject']}\n\n{preview['text']}")


def _facts(ticket_id: int | None) -> Any:
    from aura.notifications import TicketFacts

    if ticket_id is None:
        return TicketFacts(
            id=17,
            title="VPN drops every ten minutes",
            category="Network",
            priority="high",
            description="Since this morning, from home only.",
            reason="mentions VPN and a connection that drops",
            requester="ada@example.com",
            assignee="Lena Vogt",
            note="an example of a note",
        )
    with reads() as session:
        from actors.notify import ticket_facts
        from db import tickets

        loaded = tickets.load(session, [str(ticket_id)])
        if not loaded:
            raise NotFound(f"there is no ticket {ticket_id}; `aura tickets list` shows those that exist")
        return ticket_facts(loaded[str(ticket_id)], tickets.reasons(session, [ticket_id]).get(ticket_id, ""))
