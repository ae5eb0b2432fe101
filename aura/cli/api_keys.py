"""`aura keys`: the keys with which programs ask."""

from __future__ import annotations

from typing import Annotated

import typer

from aura.cli.database import acts, reads
from aura.cli.options import FormatOption, seconds_of
from aura.cli.output import Refused, note, show_rows, tell

app = typer.Typer(name="keys", help="Keys with which programs use the API: make, list, revoke.", no_args_is_help=True)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, such as intranet-form.")],
    scope: Annotated[list[str], typer.Option(help="read, submit, operate or admin; may be repeated.")],
    expires: Annotated[
        float | None, typer.Option(parser=seconds_of, metavar="TIME", help="How long it lives, such as 90d.")
    ] = None,
    how: FormatOption = "table",
) -> None:
    """Make a key and print it, this once. A name may have two live keys, so that a new one can take over from the old.

    aura keys create intranet-form --scope submit --expires 90d
    """
    from db import api_keys

    try:
        with acts("key.create", f"key/{name}", scopes=sorted(set(scope))) as session:
            number, secret = api_keys.create(session, name, scope, None if expires is None else expires / 86_400)
            older = api_keys.count_live(session, name) > 1
    except api_keys.InvalidApiKey as error:
        raise Refused(str(error)) from None
    if tell(how, {"id": number, "name": name, "key": secret, "scopes": sorted(set(scope))}, secret):
        note(f"Key {number} of {name}. It is shown this once; send it as  Authorization: Bearer {secret[:10]}...")
        if older:
            note("The other key of this name works on: revoke it when nothing uses it any more (`aura keys list`).")


@app.command("list")
def list_(how: FormatOption = "table") -> None:
    """List the keys: their beginnings, scopes, ends, and when each was used last."""
    with reads() as session:
        from db import api_keys

        rows = api_keys.listing(session)
    columns = ("id", "name", "hint", "scopes", "state", "created_at", "expires_at", "last_used_at")
    show_rows(rows, columns, how, "No keys. Make one: aura keys create intranet-form --scope submit")


@app.command("revoke")
def revoke(
    key_id: Annotated[int, typer.Argument(metavar="ID", help="A key's number, from `aura keys list`.")],
    how: FormatOption = "table",
) -> None:
    """End a key; every process refuses it within a second or so."""
    from db import api_keys

    try:
        with acts("key.revoke", f"key/{key_id}") as session:
            name = api_keys.revoke(session, key_id)
    except api_keys.InvalidApiKey as error:
        raise Refused(str(error)) from None
    tell(how, {"id": key_id, "name": name, "revoked": True}, f"key {key_id} of {name} is revoked")
