"""`aura notices`: what people were told, what waits or is unknown, and how each event is worded."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from aura.cli.database import reads, writes
from aura.cli.options import FormatOption, LimitOption
from aura.cli.output import Refused, emit, note, show_rows, tell

app = typer.Typer(
    name="notices",
    help="Notices: see what was told, what waits and what is unknown; send again, settle, preview the wording.",
    no_args_is_help=True,
)

State = Literal["enqueued", "delayed", "sending", "in_doubt", "sent", "digested"]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="From `aura notices list`.")]


@app.command("list")
def list_(
    state: Annotated[
        State | None, typer.Option(help="waiting: for its time. unknown: nobody knows whether it left.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only of this channel, such as email or in_app.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Only to this address, user name or endpoint.")] = None,
    ticket: Annotated[int | None, typer.Option(help="Only about this ticket.")] = None,
    limit: LimitOption = 50,
    how: FormatOption = "table",
) -> None:
    """List what people were told and will be told, the newest first.

    aura notices list --state unknown
    """
    with reads() as session:
        from db import notifications

        rows = notifications.overview(session, state, ticket, limit, channel, recipient)
        lost = 0 if state == "in_doubt" else notifications.in_doubt_count(session)
    columns = ("id", "ticket_id", "event", "channel", "recipient", "state", "delayed_until", "created_at")
    show_rows(rows, columns, how, "No such notices.")
    if lost:
        note(f"{lost} may or may not have left: `aura notices list --state unknown`, then `resend` or `settle`.")


@app.command("waiting")
def waiting(how: FormatOption = "table") -> None:
    """List for whom something waits, how much, and when it goes out."""
    with reads() as session:
        from db import digests

        rows = digests.overview(session)
    show_rows(rows, ("channel", "recipient", "delayed", "delayed_until"), how, "Nothing waits.")


@app.command("resend")
def resend(ids: Ids, how: FormatOption = "table") -> None:
    """Send these now, whether they wait, are unknown or were sent; all or none. Each keeps the id that tells a repeat."""
    with writes() as session:
        from db import jobs, notifications
        from db.jobs import NewJob

        try:
            promises = [NewJob(notifications.resend(session, each), each, priority=5) for each in ids]
        except (notifications.UnknownNotification, notifications.WrongState) as error:
            raise Refused(str(error)) from None
        jobs.enqueue(session, promises)
    tell(how, {"promised": ids}, *(f"{each.key} goes out by {each.actor}" for each in promises))


@app.command("settle")
def settle(ids: Ids, how: FormatOption = "table") -> None:
    """Record that these, of which nobody knew, have arrived; all or none."""
    with writes() as session:
        from db import notifications

        try:
            for each in ids:
                notifications.settle(session, each)
        except (notifications.UnknownNotification, notifications.WrongState) as error:
            raise Refused(str(error)) from None
    tell(how, {"settled": ids}, *(f"{each} is settled: it has arrived" for each in ids))


@app.command("preview")
def preview(
    event: Annotated[str | None, typer.Option(help="Such as ticket.escalated, or escalated; by default all.")] = None,
    language: Annotated[Literal["en", "de"], typer.Option(help="en or de.")] = "en",
    role: Annotated[
        Literal["requester", "agent", "team", "subscriber"] | None,
        typer.Option(help="By default all who are told of it without having asked, else a subscriber."),
    ] = None,
    ticket: Annotated[int | None, typer.Option(help="About this ticket; by default about an example.")] = None,
    how: Annotated[
        Literal["text", "html", "json"], typer.Option("--format", help="text and html are what a mail holds.")
    ] = "text",
) -> None:
    """Show how an event is worded, without telling anybody."""
    from aura.notifications import EVENTS, as_html, render_message
    from aura.notifications.recipients import AUDIENCE
    from aura.settings import get_settings

    chosen = [each for each in EVENTS if event is None or event.lower() in (each, each.removeprefix("ticket."))]
    if not chosen:
        raise Refused(f"event: there is no {str(event)[:80]!r}; there are {', '.join(EVENTS)}")
    facts = _facts(ticket)
    shown: list[dict[str, Any]] = []
    for each in chosen:
        for reader in (role,) if role else (AUDIENCE[each] or ("subscriber",)):
            base_url = get_settings().base_url
            wording = render_message(each, reader, language, facts, base_url)
            html = as_html(wording, language, f"{base_url}/tickets/{facts.id}")
            said = {"event": each, "role": reader, "language": language}
            shown.append(said | {"subject": wording.subject, "text": wording.text, "html": html})
    if how == "json":
        emit(shown)
        return
    for one in shown:
        note(f"--- {one['event']} to the {one['role']}")
        tell("table", None, one["html"] if how == "html" else f"{one['subject']}\n\n{one['text']}")


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

        found = tickets.load(session, [str(ticket_id)])
        if not found:
            raise Refused(f"there is no ticket {ticket_id}; `aura tickets list` shows those there are")
        return ticket_facts(found[str(ticket_id)], tickets.reasons(session, [ticket_id]).get(ticket_id, ""))
