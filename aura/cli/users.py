"""`aura users`: the people who log in."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from aura.cli.database import audited, reads
from aura.cli.options import FormatOption
from aura.cli.output import print_result, print_rows

app = typer.Typer(
    name="users",
    help="Users who log in: create, list, set a password, disable, print a login link.",
    epilog="Passwords are read from a prompt, or from stdin.",
    no_args_is_help=True,
)

UserName = Annotated[str, typer.Argument(metavar="NAME", help="Login name.")]


@app.command("create")
def create(
    name: UserName,
    role: Annotated[str, typer.Option(help="viewer reads, operator works on tickets, admin administrates.")] = "viewer",
    fmt: FormatOption = "table",
) -> None:
    """Create a user.

    Example: aura users create ada --role operator
    """
    password = _password()
    with audited("user.create", f"user/{name}", role=role) as session:
        from db import users

        users.create(session, name, password, role)
    print_result(fmt, {"name": name, "role": role}, f"user {name} created, with the role {role}")


@app.command("list")
def list_(fmt: FormatOption = "table") -> None:
    """List the users.

    Example: aura users list
    """
    with reads() as session:
        from db import users

        rows = users.listing(session)
    columns = ("name", "role", "disabled", "totp", "created_at")
    print_rows(rows, columns, fmt, "No users. Create one: aura users create ada --role admin")


@app.command("password")
def password(name: UserName, fmt: FormatOption = "table") -> None:
    """Set the password of a user and end all sessions of the user.

    Example: aura users password ada
    """
    new = _password()
    with audited("user.password", f"user/{name}") as session:
        from db import users

        users.set_password(session, name, new)
    print_result(fmt, {"name": name}, f"password of {name} changed")


@app.command("disable")
def disable(
    name: UserName,
    undo: Annotated[bool, typer.Option("--undo", help="Enable the user again.")] = False,
    fmt: FormatOption = "table",
) -> None:
    """Disable a user, from the next request on.

    Example: aura users disable ada
    """
    with audited("user.enable" if undo else "user.disable", f"user/{name}") as session:
        from db import users

        users.disable(session, name, not undo)
    print_result(fmt, {"name": name, "disabled": not undo}, f"user {name} {'enabled' if undo else 'disabled'}")


@app.command("login-link")
def login_link_(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Login name. Default: admin.")] = None,
    fmt: FormatOption = "table",
) -> None:
    """Print a link that logs a user in once, within 15 minutes. Without any user it creates the administrator `admin`.

    Example: aura users login-link
    """
    from aura.settings import get_settings

    link = login_link(name, get_settings().base_url)
    print_result(fmt, {"link": link}, link)


def login_link(name: str | None, address: str) -> str:
    """Return a login link. Raises NotFound, and InvalidUser for a disabled user."""
    from db import login_links

    with audited("user.login_link", f"user/{name or 'admin'}") as session:
        _, token = login_links.create(session, name)
    return f"{address}/login?token={token}"


@app.command("reset-totp")
def reset_totp(name: UserName, fmt: FormatOption = "table") -> None:
    """Remove the second factor of a user who lost the device and the recovery codes, and end the user's sessions.

    Example: aura users reset-totp ada
    """
    with audited("user.reset_totp", f"user/{name}") as session:
        from db import second_factor

        second_factor.remove_by_name(session, name)
    print_result(fmt, {"name": name}, f"second factor of {name} removed")


def _password() -> str:
    if sys.stdin.isatty():
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return password
    return sys.stdin.readline().rstrip("\r\n")
