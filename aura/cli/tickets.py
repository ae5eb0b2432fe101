"""`aura tickets`: create, list, show and change tickets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
from rich.table import Table

from aura.cli.attachments import attachments
from aura.cli.database import audited, reads, warn_without_worker, writes
from aura.cli.options import FormatOption, LimitOption
from aura.cli.output import Format, cell, out, print_fields, print_json, print_result, print_rows, printable
from aura.errors import Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from aura.desk.ticket_actions import StatusChange

Result = TypeVar("Result")

app = typer.Typer(
    name="tickets",
    help="Tickets: create, list, show with the timeline, correct, comment, assign, resolve.",
    no_args_is_help=True,
)

TicketId = Annotated[int, typer.Argument(metavar="ID", help="Number of the ticket.")]
Status = Literal["open", "in_progress", "pending", "resolved", "closed"]
Stage = Literal["received", "prepared", "classified", "notified"]
Visibility = Literal["internal", "public"]
VisibilityOption = Annotated[Visibility | None, typer.Option(help="internal or public.")]
Author = Annotated[str, typer.Option("--by", envvar="USER", help="Author of the change.")]


@app.command("create")
def create(
    title: Annotated[str, typer.Argument(help="Short summary.")],
    description: Annotated[str, typer.Argument(help="Details; `-` reads them from stdin.")] = "",
    requester: Annotated[str, typer.Option("--requester", "-r", help="E-mail address or name of the requester.")] = "",
    priority: Annotated[
        str | None, typer.Option(help="Priority that the requester claims: low, medium, high or critical.")
    ] = None,
    external_id: Annotated[
        str | None, typer.Option(help="Id of your own; the same id creates no second ticket.")
    ] = None,
    fmt: FormatOption = "table",
) -> None:
    """Create a ticket. It is stored at once and classified by the next free worker.

    Example: aura tickets create "VPN drops" "Every ten minutes, from home only" -r ada@example.com
    """
    from pydantic import ValidationError

    from aura.settings import explain
    from db.new_tickets import NewTicket

    payload = {
        "title": title,
        "description": _text(description),
        "requester": requester,
        "priority": priority,
        "external_id": external_id,
    }
    try:
        ticket = NewTicket.model_validate(payload)
    except ValidationError as error:
        raise InvalidInput(explain(error)) from None
    with writes() as session:
        from db import tickets
        from db.fair_shares import share_of
        from pipelines.triage import triage

        [created] = tickets.create_once(session, "cli", [(ticket, payload)], [""])
        if created.differs:
            raise Conflict(
                f"--external-id {ticket.external_id!r} is that of ticket {created.id}, which has another "
                f"{', '.join(created.differs)}: use another id, or change the existing ticket"
            )
        if created.is_new:
            triage.send(created.id, share_of("cli", ticket.requester))
    text = f"ticket {created.id} created" if created.is_new else f"ticket {created.id} exists already"
    if print_result(fmt, {"id": created.id, "new": created.is_new}, text):
        warn_without_worker()


@app.command("list")
def list_(
    status: Annotated[Status | None, typer.Option(help="open, in_progress, pending, resolved or closed.")] = None,
    stage: Annotated[Stage | None, typer.Option(help="received, prepared, classified or notified.")] = None,
    category: Annotated[str | None, typer.Option(help="Such as Network.")] = None,
    due: Annotated[
        bool, typer.Option("--due", help="Only tickets with a resolution target, overdue ones and the next first.")
    ] = False,
    limit: LimitOption = 50,
    fmt: FormatOption = "table",
) -> None:
    """List tickets, the newest first, or with --due by resolution target.

    Example: aura tickets list --status open --category Network
    """
    with reads() as session:
        from db import tickets
        from db.timeline import summary

        listed = tickets.listing(session, status=status, stage=stage, category=category, due=due, limit=limit)
        rows = [summary(ticket) for ticket in listed]
    if due:
        columns = ("id", "title", "priority", "status", "assignee", "due_at", "sla_state")
        print_rows(rows, columns, fmt, "No ticket has a resolution target. AURA_SLA sets them.")
        return
    columns = ("id", "title", "category", "priority", "stage", "assignee", "created_at")
    print_rows(rows, columns, fmt, 'No tickets. Create one: aura tickets create "VPN drops" -r ada@example.com')


@app.command("show")
def show(ticket_id: TicketId, fmt: FormatOption = "table") -> None:
    """Show a ticket with its timeline and its open jobs.

    Example: aura tickets show 17
    """
    with reads() as session:
        from db.timeline import timeline

        ticket = timeline(session, ticket_id)
    if ticket is None:
        raise NotFound(f"there is no ticket {ticket_id}")
    if fmt == "json":
        print_json(ticket)
        return
    entries, jobs = ticket.pop("timeline"), ticket.pop("jobs")
    if ticket["sender_verified"] is False:
        ticket["requester"] += " (Sender not verified)"
    ticket["participants"] = ", ".join(each["address"] for each in ticket["participants"])
    print_fields(ticket)
    out.print()
    table = Table("at", "kind", "details", header_style="bold", box=None, pad_edge=False)
    for entry in entries:
        table.add_row(cell(entry.pop("at")), entry.pop("kind"), _details(entry))
    out.print(table)
    for job in jobs:
        out.print(f"open job: {job['actor']}, due {cell(job['due_at'])}, {job['attempts']} attempts", markup=False)


app.command("attachments")(attachments)


@app.command("correct")
def correct(
    ticket_id: TicketId,
    category: Annotated[str | None, typer.Option(help="Such as Network.")] = None,
    priority: Annotated[str | None, typer.Option(help="low, medium, high or critical.")] = None,
    author: Author = "operator",
    fmt: FormatOption = "table",
) -> None:
    """Correct or confirm the category or priority of a ticket. No engine overwrites the value.

    A change sends notifications, and `aura train` uses the value as training data.

    Example: aura tickets correct 17 --category Network --priority high
    """
    changed = _act(
        "correct",
        ticket_id,
        lambda actions: actions.correct(ticket_id, author, category, priority),
        category=category,
        priority=priority,
    )
    text = f"ticket {ticket_id}: {' and '.join(changed)} changed" if changed else f"ticket {ticket_id} confirmed"
    _print_change(fmt, {"id": ticket_id, "changed": changed}, text, enqueued=bool(changed))


@app.command("resolve")
def resolve(
    ticket_id: TicketId,
    resolution: Annotated[str, typer.Argument(help="What resolved the ticket; `-` reads it from stdin.")],
    visibility: VisibilityOption = None,
    public: Annotated[bool, typer.Option("--public", help="Send the resolution to the requester.")] = False,
    author: Author = "operator",
    fmt: FormatOption = "table",
) -> None:
    """Resolve a ticket and notify its requester. Similar tickets show the resolution, which is internal by default.

    Example: aura tickets resolve 17 "Replaced the cable" --public
    """
    text, chosen = _text(resolution), _visibility(visibility, public, False) or "internal"
    _act("resolve", ticket_id, lambda actions: actions.resolve(ticket_id, text, author, chosen), visibility=chosen)
    value = {"id": ticket_id, "status": "resolved", "visibility": chosen}
    sent = "the resolution is sent to the requester" if chosen == "public" else "the resolution is internal"
    _print_change(fmt, value, f"ticket {ticket_id} resolved; {sent}")


@app.command("status")
def status(
    ticket_id: TicketId,
    status: Annotated[str, typer.Argument(help="open, in_progress, pending, resolved or closed.")],
    author: Author = "operator",
    fmt: FormatOption = "table",
) -> None:
    """Set the status of a ticket. While it is pending, its resolution target is paused.

    Example: aura tickets status 17 pending
    """
    change = _act("status", ticket_id, lambda actions: actions.set_status(ticket_id, status, author), status=status)
    _print_change(fmt, *_status_change(ticket_id, change))


@app.command("reopen")
def reopen(
    ticket_id: TicketId,
    reason: Annotated[str, typer.Argument(help="Becomes a comment; `-` reads it from stdin.")] = "",
    author: Author = "operator",
    fmt: FormatOption = "table",
) -> None:
    """Reopen a resolved or closed ticket and notify its assignee. Its resolution target runs again.

    Example: aura tickets reopen 17 "The VPN drops again"
    """
    text = _text(reason)
    change = _act("reopen", ticket_id, lambda actions: actions.reopen(ticket_id, author, text), reason=text)
    _print_change(fmt, *_status_change(ticket_id, change))


@app.command("assign")
def assign(
    ticket_id: TicketId,
    agent: Annotated[str | None, typer.Argument(help="Name or e-mail address, from `aura agents list`.")] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="Remove the assignee.")] = False,
    author: Author = "operator",
    fmt: FormatOption = "table",
) -> None:
    """Assign a ticket to an agent, who is notified, or to nobody. Automatic routing does not change it again.

    Example: aura tickets assign 17 "Lena Vogt"
    """
    if nobody == (agent is not None):
        raise InvalidInput("name one of AGENT and --nobody; `aura agents list` shows the agents")
    name = _act("assign", ticket_id, lambda actions: actions.assign(ticket_id, agent, author), agent=agent)
    _print_change(fmt, {"id": ticket_id, "assignee": name}, f"ticket {ticket_id} assigned to {name or 'nobody'}")


@app.command("comment")
def comment(
    ticket_id: TicketId,
    text: Annotated[str, typer.Argument(help="Text of the comment; `-` reads it from stdin.")],
    visibility: VisibilityOption = None,
    public: Annotated[
        bool, typer.Option("--public", help="A reply, which is sent to the requester and the people in Cc.")
    ] = False,
    internal: Annotated[bool, typer.Option("--internal", help="A note for the desk; the default.")] = False,
    author: Author = "operator",
    fmt: FormatOption = "table",
) -> None:
    """Add an internal note to a ticket, or with --public a reply, which an engine reads while the ticket is open.

    Example: aura tickets comment 17 "It is the home network, too"
    """
    body, chosen = _text(text), _visibility(visibility, public, internal)
    added = _act(
        "comment",
        ticket_id,
        lambda actions: actions.comment(ticket_id, author, body, visibility=chosen),
        visibility=chosen,
    )
    value = {"id": ticket_id, "comment": added.number, "visibility": added.visibility}
    _print_change(fmt, value, f"ticket {ticket_id}: comment {added.number} added ({added.visibility})")


@app.command("participants")
def participants(
    ticket_id: TicketId,
    add: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Add this person to Cc.")] = None,
    remove: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Remove this person from Cc.")] = None,
    author: Author = "operator",
    fmt: FormatOption = "table",
) -> None:
    """List the people in Cc of a ticket, who get public replies by mail, or add or remove one.

    Example: aura tickets participants 17 --remove bob@example.com
    """
    if add is not None and remove is not None:
        raise InvalidInput("name one of --add and --remove")
    if add is not None or remove is not None:
        action = "participant_add" if add is not None else "participant_remove"
        with audited(f"ticket.{action}", f"ticket/{ticket_id}", address=add or remove):
            from aura.desk.participants import add_participant, remove_participant

            if add is not None:
                add_participant(ticket_id, add, author)
            else:
                remove_participant(ticket_id, remove or "", author)
    with reads():
        from aura.desk.participants import list_participants

        rows = list_participants(ticket_id)
    print_rows(rows, ("address", "name", "added_by", "created_at"), fmt, "Nobody is in Cc.")


def _visibility(visibility: Visibility | None, public: bool, internal: bool) -> Visibility | None:
    """Return the visibility of the options; None when there is none. Raises InvalidInput when they differ."""
    options: tuple[tuple[bool, Visibility], ...] = ((public, "public"), (internal, "internal"))
    chosen = {each for given, each in options if given} | ({visibility} if visibility else set())
    if len(chosen) > 1:
        raise InvalidInput("name one of --public and --internal")
    return next(iter(chosen), None)


def _act(action: str, ticket_id: int, do: Callable[[ModuleType], Result], **details: Any) -> Result:
    """Call a function of aura.desk.ticket_actions in one transaction with the audit entry. Returns its result."""
    with audited(f"ticket.{action}", f"ticket/{ticket_id}", **details):
        from aura.desk import ticket_actions

        return do(ticket_actions)


def _print_change(fmt: Format, value: dict[str, Any], text: str, *, enqueued: bool = True) -> None:
    if print_result(fmt, value, text) and enqueued:
        warn_without_worker()


def _status_change(ticket_id: int, change: StatusChange) -> tuple[dict[str, Any], str]:
    from actors.sla import wall_time

    text = f"ticket {ticket_id}: {change.before} -> {change.status}"
    if change.due_at:
        text += f", due {wall_time(change.due_at)}"
    elif change.status == "pending":
        text += ", resolution target paused"
    return {"id": ticket_id, "before": change.before, "status": change.status, "due_at": change.due_at}, text


def _text(argument: str) -> str:
    return sys.stdin.read() if argument == "-" else argument


def _details(entry: dict[str, Any]) -> str:
    from rich.markup import escape

    values = {name: value for name, value in entry.items() if value not in (None, "", False)}
    if entry.get("sender_verified") is False:
        values["sender"] = f"{entry.get('sender', '')} (Sender not verified)".strip()
    if files := values.get("attachments"):
        values["attachments"] = ", ".join(f"{file['name']} ({file['size']} B)" for file in files)
    text = "  ".join(f"{k}={cell(v) if isinstance(v, float | datetime) else v}" for k, v in values.items())
    return escape(" ".join(printable(text).split()))
