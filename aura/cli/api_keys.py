"""`aura api-keys`: the keys of the programs that use the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer

from aura.cli.database import audited, reads
from aura.cli.options import FormatOption, parse_duration
from aura.cli.output import note, print_result, print_rows

app = typer.Typer(
    name="api-keys", help="API keys of programs that use the HTTP API: create, list, revoke.", no_args_is_help=True
)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the program, such as intranet-form.")],
    scope: Annotated[list[str], typer.Option(help="read, submit, operate or admin; may be repeated.")],
    expires: Annotated[
        float | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="Lifetime, such as 90d. Default: no end."),
    ] = None,
    fmt: FormatOption = "table",
) -> None:
    """Create an API key and print it once. A name may have two active keys, so that keys can be rotated.

    Example: aura api-keys create intranet-form --scope submit --expires 90d
    """
    from db import api_keys

    with audited("key.create", f"key/{name}", scopes=sorted(set(scope))) as session:
        number, secret = api_keys.create(session, name, scope, None if expires is None else expires / 86_400)
        rotated = api_keys.count_live(session, name) > 1
    if print_result(fmt, {"id": number, "name": name, "key": secret, "scopes": sorted(set(scope))}, secret):
        note(f"API key {number} of {name}, shown only once. Send it as  Authorization: Bearer {secret[:10]}...")
        if rotated:
            note("The other key of this name stays valid: revoke it when no program uses it (`aura api-keys list`).")


@app.command("list")
def list_(fmt: FormatOption = "table") -> None:
    """List the API keys: first characters, scopes, expiry and last use.

    Example: aura api-keys list
    """
    with reads() as session:
        from db import api_keys

        rows = api_keys.listing(session)
    columns = ("id", "name", "hint", "scopes", "state", "created_at", "expires_at", "last_used_at")
    print_rows(rows, columns, fmt, "No API keys. Create one: aura api-keys create intranet-form --scope submit")


@app.command("revoke")
def revoke(
    key_id: Annotated[int, typer.Argument(metavar="ID", help="Number of the key, from `aura api-keys list`.")],
    fmt: FormatOption = "table",
) -> None:
    """Revoke an API key; every process refuses it within about a second.

    Example: aura api-keys revoke 3
    """
    from db import api_keys

    with audited("key.revoke", f"key/{key_id}") as session:
        name = api_keys.revoke(session, key_id)
    print_result(fmt, {"id": key_id, "name": name, "revoked": True}, f"API key {key_id} of {name} revoked")
