"""The command `aura`. Data goes to stdout, everything else to stderr; each listing has `--format json`.

Imports stand inside the commands, so that `aura --help` answers at once and a command loads only what it uses.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from aura.cli import (
    agents,
    api_keys,
    costs,
    dead_letters,
    demo,
    doctor,
    endpoints,
    evaluate,
    incidents,
    jobs,
    mail,
    models,
    notifications,
    preferences,
    queues,
    run,
    schedules,
    subscriptions,
    tickets,
    train,
    users,
    workers,
)
from aura.cli.output import Refused, err

app = typer.Typer(
    help="Takes in service-desk tickets, decides what each is about and how urgent, tells the right people, loses none.",
    epilog="First steps: `aura demo` shows the whole journey; `aura run` starts everything in one process.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from aura import VERSION

        print(f"aura {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """Hold the options of the command itself."""


# In the order in which `aura --help` lists them
app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("submit")(tickets.submit)
app.command("import")(tickets.import_)
app.command("subscribe")(subscriptions.add)
app.command("migrate")(doctor.migrate)
app.command("clock")(run.clock)
app.command("doctor")(doctor.doctor)
app.command("evaluate")(evaluate.evaluate)
app.command("learn")(train.learn)
app.command("replay")(costs.replay)
app.command("spend")(costs.spend)
GROUPS = (
    tickets,
    mail,
    incidents,
    models,
    jobs,
    queues,
    dead_letters,
    workers,
    schedules,
    agents,
    endpoints,
    subscriptions,
    preferences,
    notifications,
    api_keys,
    users,
)
for group in GROUPS:
    app.add_typer(group.app)


def main() -> None:
    """Run the command; what the user can mend is one line on stderr and exit code 1, never a traceback."""
    from aura.settings import SettingsError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no umlaut is no reason to fail
    try:
        app()
    except (Refused, SettingsError, OSError) as error:
        err.print(f"aura: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
