"""`aura users`: the people who log in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from aura.cli.database import acts, reads
from aura.cli.options import FormatOption
from aura.cli.output import Refused, show_rows, tell

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

app = typer.Typer(
    name="users",
    help="Users who log in: create, list, change a password, disable.",
    epilog="A password is asked for; from a program, give it on standard input.",
    no_args_is_help=True,
)

UserName = Annotated[str, typer.Argument(metavar="NAME", help="The name to log in with.")]


@app.command("create")
def create(
    name: UserName,
    role: Annotated[str, typer.Option(help="viewer looks, operator acts, admin changes how Aura works.")] = "viewer",
    how: FormatOption = "table",
) -> None:
    """Add somebody who may log in."""
    password = _password()
    with _users("user.create", name, role=role) as session:
        from db import users

        users.create(session, name, password, role)
    tell(how, {"name": name, "role": role}, f"{name} may log in, as {role}")


@app.command("list")
def list_(how: FormatOption = "table") -> None:
    """List the users."""
    with reads() as session:
        from db import users

        rows = users.listing(session)
    show_rows(
        rows, ("name", "role", "disabled", "created_at"), how, "No users. Add one: aura users create ada --role admin"
    )


@app.command("password")
def password(name: UserName, how: FormatOption = "table") -> None:
    """Change somebody's password; it logs them out everywhere."""
    new = _password()
    with _users("user.password", name) as session:
        from db import users

        users.set_password(session, name, new)
    tell(how, {"name": name}, f"{name} has a new password")


@app.command("disable")
def disable(
    name: UserName,
    undo: Annotated[bool, typer.Option("--undo", help="Let them in again.")] = False,
    how: FormatOption = "table",
) -> None:
    """Keep somebody out, from the next request on."""
    with _users("user.enable" if undo else "user.disable", name) as session:
        from db import users

        users.disable(session, name, not undo)
    tell(how, {"name": name, "disabled": not undo}, f"{name} may {'log in again' if undo else 'not log in any more'}")


@contextmanager
def _users(action: str, name: str, **details: str) -> Iterator[Session]:
    from db.users import InvalidUser

    try:
        with acts(action, f"user/{name}", **details) as session:
            yield session
    except InvalidUser as error:
        raise Refused(str(error)) from None


def _password() -> str:
    if sys.stdin.isatty():
        said: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return said
    return sys.stdin.readline().rstrip("\r\n")
