"""`aura endpoints`: the URLs of Slack, Teams, webhooks and Apprise."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Literal

import typer

from aura.cli.database import reads, writes
from aura.cli.options import FormatOption
from aura.cli.output import note, print_result, print_rows
from aura.errors import Conflict, InvalidInput

app = typer.Typer(
    name="endpoints",
    help="Endpoints of Slack, Teams, webhooks and Apprise: add, list, rotate keys, test, remove.",
    no_args_is_help=True,
)

Kind = Literal["slack", "teams", "webhook", "apprise"]
EndpointName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the endpoint, from `aura endpoints list`.")]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name for subscriptions, such as desk-slack.")],
    channel: Annotated[Kind, typer.Argument(metavar="CHANNEL", help="slack, teams, webhook or apprise.")],
    url: Annotated[
        str | None,
        typer.Option(help="Without this option the URL is read from a prompt or stdin, and stays out of the history."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Change the URL of an existing endpoint.")] = False,
    fmt: FormatOption = "table",
) -> None:
    """Add an endpoint. Its URL is stored and never shown again. The URL `console:` logs messages instead of sending them.

    slack: an incoming webhook. teams: a Workflow that starts with a webhook request. webhook: any https address; the key
    that signs the requests is printed once. apprise: a URL of https://appriseit.com.

    Example: aura endpoints add desk-slack slack < url.txt
    """
    from aura.notifications.signatures import new_secret

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise InvalidInput(
            f"{name[:80]!r} is not an endpoint name: use up to 80 letters, digits, dots, dashes and underscores"
        )
    url = _read_url(url)
    _check_url(channel, url)
    secret = new_secret() if channel == "webhook" and not replace else ""
    with writes() as session:
        from db import endpoints

        if replace:
            if endpoints.get(session, name).channel != channel:
                raise Conflict(f"endpoint {name} is no {channel} endpoint: remove it first")
            endpoints.set_url(session, name, url)
        elif not endpoints.add(session, name, channel, url, secret):
            raise Conflict(f"endpoint {name!r} exists: choose another name, or change its URL with --replace")
    lines = [f"{name}: {channel} to {redacted(url)}", *_secret_lines(secret)]
    value = {"name": name, "channel": channel, "url": redacted(url), "secret": secret or None}
    print_result(fmt, value, *lines)


@app.command("list")
def list_(fmt: FormatOption = "table") -> None:
    """List the endpoints. URLs are shown without their secret parts.

    Example: aura endpoints list
    """
    with reads() as session:
        from db import endpoints

        rows = [
            {"name": each.name, "channel": each.channel, "url": redacted(each.url), "keys": len(each.keys)}
            for each in endpoints.listing(session)
        ]
    print_rows(rows, ("name", "channel", "url", "keys"), fmt, "No endpoints. Add one: aura endpoints add NAME slack")


@app.command("rotate")
def rotate(
    name: EndpointName,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Sign with the newest key only.")] = False,
    fmt: FormatOption = "table",
) -> None:
    """Create a new signing key of a webhook and print it once. Both keys sign until --drop-old removes the old one.

    Give the receiver the new key, then run the command again with --drop-old.

    Example: aura endpoints rotate crm
    """
    from aura.notifications.signatures import new_secret

    secret = "" if drop_old else new_secret()
    with writes() as session:
        from db import endpoints

        channel = endpoints.get(session, name).channel
        if channel != "webhook":
            raise Conflict(
                f"endpoint {name} has no signing key: its URL is the secret; "
                f"`aura endpoints add {name} {channel} --replace` changes it"
            )
        if drop_old and not endpoints.drop_old_secret(session, name):
            raise Conflict(f"endpoint {name} has only one key: `aura endpoints rotate {name}` creates a second one")
        if secret:
            endpoints.rotate(session, name, secret)
    text = f"{name}: the old key is removed" if drop_old else f"{name}: two keys sign"
    value = {"name": name, "keys": 1 if drop_old else 2, "secret": secret or None}
    print_result(fmt, value, text, *_secret_lines(secret))


@app.command("test")
def send_test(name: EndpointName, fmt: FormatOption = "table") -> None:
    """Send a test message to an endpoint now, without a job, and print the result.

    Example: aura endpoints test desk-slack
    """
    import uuid

    from aura.notifications import OutboundMessage, make_channel
    from aura.settings import get_settings

    with reads() as session:
        from db import endpoints

        endpoint = endpoints.get(session, name)
    text = "This is a test message of Aura. No action is needed."
    message = OutboundMessage(
        uuid.uuid4().hex,
        0,
        name,
        "Test",
        text,
        event="test",
        data={"message": text},
        url=endpoint.url,
        keys=endpoint.keys,
    )
    make_channel(endpoint.channel, get_settings()).send(message)
    print_result(fmt, {"name": name, "sent": message.id}, f"{name}: sent, with the id {message.id}")


@app.command("remove")
def remove(name: EndpointName, fmt: FormatOption = "table") -> None:
    """Remove an endpoint. Deliveries to it that are not sent yet become dead letters.

    Example: aura endpoints remove desk-slack
    """
    with writes() as session:
        from db import endpoints

        left = endpoints.remove(session, name)
    print_result(fmt, {"name": name, "subscriptions": left}, f"{name}: removed")
    if left:
        note(f"{left} subscriptions still name the endpoint; their notifications become dead letters.")


def redacted(url: str) -> str:
    """Return the public part of an endpoint's URL: scheme and host of a web address, else the scheme."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return scheme.partition(":")[0] + ":"
    host = re.split(r"[/?#]", rest)[0].rpartition("@")[2]
    return f"{scheme}://{host if scheme in ('http', 'https') else ''}/..."


def _read_url(url: str | None) -> str:
    if url is None:
        url = typer.prompt("URL", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    url = str(url).strip()
    if not url:
        raise InvalidInput("the URL is missing: write it to stdin or into the prompt")
    return url


def _check_url(channel: str, url: str) -> None:
    """Refuse a forbidden URL; each delivery checks the URL, and the address it resolves to, again."""
    from aura.notifications.channels.registry import check_endpoint
    from aura.notifications.safe_http import ForbiddenAddress, RequestFailed
    from aura.settings import get_settings

    try:
        check_endpoint(channel, url, get_settings())
    except ForbiddenAddress as error:
        raise InvalidInput(f"{error} (hosts of your own network: AURA_WEBHOOK_HOSTS)") from None
    except RequestFailed as error:
        note(f"{error}; the endpoint is added nevertheless.")


def _secret_lines(secret: str) -> list[str]:
    return ["The receiver verifies the signature with this key, shown only once:", secret] if secret else []
