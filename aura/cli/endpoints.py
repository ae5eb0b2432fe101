"""`aura endpoints`: where Slack, Teams, webhooks and apprise lead."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aura.cli.database import reads, writes
from aura.cli.options import FormatOption
from aura.cli.output import Refused, note, show_rows, tell

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

app = typer.Typer(
    name="endpoints",
    help="Endpoints: where Slack, Teams, webhooks and apprise lead; add, list, rotate keys, test, remove.",
    no_args_is_help=True,
)

Kind = Literal["slack", "teams", "webhook", "apprise"]
EndpointName = Annotated[str, typer.Argument(metavar="NAME", help="An endpoint, from `aura endpoints list`.")]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="How subscriptions call it, such as desk-slack.")],
    channel: Annotated[Kind, typer.Argument(metavar="CHANNEL", help="slack, teams, webhook or apprise.")],
    url: Annotated[
        str | None,
        typer.Option(help="Better left out: it is asked for, or read from stdin, and stays out of the shell."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Let one that exists lead to another URL.")] = False,
    how: FormatOption = "table",
) -> None:
    """Add an endpoint. Its URL is kept, and never shown again; one of `console:` only logs what would be sent.

    slack: an incoming webhook. teams: a Workflow that starts with a webhook request. webhook: any https address; the key
    that signs what goes there is printed once. apprise: a URL of https://appriseit.com.

    aura endpoints add desk-slack slack < url.txt
    """
    from aura.notifications.signatures import new_secret

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise Refused(f"{name[:80]!r} is no name: use up to 80 letters, digits, dots, dashes and underscores")
    url = _read(url)
    _check(channel, url)
    secret = new_secret() if channel == "webhook" and not replace else ""
    with _endpoints() as (endpoints, session):
        if replace:
            if endpoints.get(session, name).channel != channel:
                raise Refused(f"{name} is no {channel} endpoint: remove it first")
            endpoints.set_url(session, name, url)
        elif not endpoints.add(session, name, channel, url, secret):
            raise Refused(f"there is an endpoint {name!r}: choose another name, or say --replace to change its URL")
    lines = [f"{name}: {channel} to {shown(url)}", *_key_lines(secret)]
    tell(how, {"name": name, "channel": channel, "leads_to": shown(url), "secret": secret or None}, *lines)


@app.command("list")
def list_(how: FormatOption = "table") -> None:
    """List the endpoints, without what is secret of their URLs."""
    with _endpoints(reads) as (endpoints, session):
        rows = [
            {"name": each.name, "channel": each.channel, "leads to": shown(each.url), "keys": len(each.keys)}
            for each in endpoints.listing(session)
        ]
    show_rows(
        rows, ("name", "channel", "leads to", "keys"), how, "No endpoints. Add one: aura endpoints add NAME slack"
    )


@app.command("rotate")
def rotate(
    name: EndpointName,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Sign with the newest key alone from now on.")] = False,
    how: FormatOption = "table",
) -> None:
    """Make a new key for a webhook and print it once. The one until now signs too, until you say --drop-old.

    aura endpoints rotate crm               # give the receiver the new key, then
    aura endpoints rotate crm --drop-old
    """
    from aura.notifications.signatures import new_secret

    secret = "" if drop_old else new_secret()
    with _endpoints() as (endpoints, session):
        channel = endpoints.get(session, name).channel
        if channel != "webhook":
            raise Refused(f"{name} has no key: its URL is the secret; `aura endpoints add {name} {channel} --replace`")
        if drop_old and not endpoints.drop_old_secret(session, name):
            raise Refused(f"{name} has one key only: `aura endpoints rotate {name}` makes a new one first")
        if secret:
            endpoints.rotate(session, name, secret)
    done = f"{name}: the old key signs no more" if drop_old else f"{name}: two keys sign"
    tell(how, {"name": name, "keys": 1 if drop_old else 2, "secret": secret or None}, done, *_key_lines(secret))


@app.command("test")
def try_out(name: EndpointName, how: FormatOption = "table") -> None:
    """Send a test message there now, past all queues, and say what was answered."""
    import uuid

    from aura.notifications import ChannelError, OutboundMessage, make_channel
    from aura.settings import get_settings

    with _endpoints(reads) as (endpoints, session):
        to = endpoints.get(session, name)
    text = "This is a test message of Aura. Nothing needs to be done."
    notice = OutboundMessage(
        uuid.uuid4().hex, 0, name, "Test", text, event="test", data={"message": text}, url=to.url, keys=to.keys
    )
    try:
        make_channel(to.channel, get_settings()).send(notice)
    except ChannelError as error:
        raise Refused(str(error)) from None
    tell(how, {"name": name, "sent": notice.id}, f"{name}: sent, with the id {notice.id}")


@app.command("remove")
def remove(name: EndpointName, how: FormatOption = "table") -> None:
    """Remove an endpoint. What is still to be delivered there becomes dead letters."""
    with _endpoints() as (endpoints, session):
        left = endpoints.remove(session, name)
    tell(how, {"name": name, "subscriptions": left}, f"{name}: removed")
    if left:
        note(
            f"Subscriptions that still name it: {left}. What they ask for becomes dead letters until it is added again."
        )


def shown(url: str) -> str:
    """Return of a URL what is no secret: the host of a web address, else the kind of service."""
    scheme, found, rest = url.partition("://")
    if not found:
        return scheme.partition(":")[0] + ":"
    host = re.split(r"[/?#]", rest)[0].rpartition("@")[2]
    return f"{scheme}://{host if scheme in ('http', 'https') else ''}/..."


def _read(url: str | None) -> str:
    if url is None:
        url = typer.prompt("URL", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    url = str(url).strip()
    if not url:
        raise Refused("no URL was given: write it to stdin, or when asked for it")
    return url


def _check(channel: str, url: str) -> None:
    """Refuse a URL that nothing may be sent to; a delivery checks it again, and the address that it has then."""
    from aura.notifications import ChannelError
    from aura.notifications.channels.registry import check_endpoint
    from aura.notifications.safe_http import ForbiddenAddress, RequestFailed
    from aura.settings import get_settings

    try:
        check_endpoint(channel, url, get_settings())
    except ForbiddenAddress as error:
        raise Refused(f"{error} (hosts of your own network: AURA_WEBHOOK_HOSTS)") from None
    except ChannelError as error:
        raise Refused(str(error)) from None
    except RequestFailed as error:
        note(f"{error} just now; it is added all the same.")


def _key_lines(secret: str) -> list[str]:
    return ["The receiver verifies with this key, which is shown once:", secret] if secret else []


@contextmanager
def _endpoints(begin: Callable[[], AbstractContextManager[Session]] = writes) -> Iterator[tuple[Any, Session]]:
    """The queries and a session to use them in; what is not there is said in one line."""
    with begin() as session:
        from db import endpoints

        try:
            yield endpoints, session
        except endpoints.UnknownEndpoint as error:
            raise Refused(str(error)) from None
