"""The command `aura`: one module per noun. Data goes to stdout, everything else to stderr.

Imports of other packages stand inside the commands, so that `aura --help` is quick and a command loads only what it uses.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from aura.cli import (
    agents,
    api_keys,
    backtest,
    costs,
    dead_letters,
    demo,
    doctor,
    endpoints,
    evaluate,
    incidents,
    jobs,
    mail,
    migrate,
    models,
    notifications,
    preferences,
    queues,
    run,
    scheduler,
    schedules,
    secrets,
    subscriptions,
    ticket_import,
    tickets,
    train,
    users,
    web,
    worker,
    workers,
)
from aura.cli.output import err, note
from aura.errors import AuraError, ConfigurationError, NotFound

app = typer.Typer(
    help="Receives service-desk tickets, classifies them, notifies the right people, and loses none.",
    epilog="First steps: `aura demo` classifies sample tickets; `aura run` starts everything in one process.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(requested: bool) -> None:
    if requested:
        from aura import VERSION

        print(f"aura {VERSION}")
        raise typer.Exit


#: Processes of the Procfile: they never use embedded mode without AURA_ENV=development.
SERVICE_COMMANDS = ("scheduler", "web", "worker")


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of the command itself."""
    if context.invoked_subcommand not in SERVICE_COMMANDS:
        from aura.settings import allow_embedded

        allow_embedded()


# in the order of `aura --help`
COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.demo,
    "run": run.run,
    "import": ticket_import.import_,
    "migrate": migrate.migrate,
    "web": web.web,
    "worker": worker.worker,
    "scheduler": scheduler.scheduler,
    "doctor": doctor.doctor,
    "evaluate": evaluate.evaluate,
    "train": train.train,
    "backtest": backtest.backtest,
    "costs": costs.costs,
}
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
    secrets,
)
for name, command in COMMANDS.items():
    app.command(name)(command)
tickets.app.command("import", help=ticket_import.help_of("aura tickets import"))(ticket_import.import_)
for group in GROUPS:
    app.add_typer(group.app)

#: Groups whose `list` shows the names and numbers that their other commands accept.
LISTS = {str(group.app.info.name) for group in GROUPS}
#: Commands of the Procfile and of `aura run`, whose output is a log.
PROCESSES = {"web", "worker", "scheduler", "run", "migrate"}
#: Commands that accept the names of another group.
LISTED_BY = {"backtest": "models", "evaluate": "models"}


def main() -> None:
    """Run the command. An expected failure is one line on stderr, with a hint where there is one, and no traceback.

    Exit codes: 0 success, 1 the command failed, 2 wrong usage or configuration, 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the terminal may not have the character
    try:
        app()
    except (AuraError, OSError) as error:
        _print_error(error)
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        from structlog import is_configured

        if not is_configured():  # otherwise the log gets the error
            sys.excepthook = _print_traceback
        raise


def _print_error(error: AuraError | OSError) -> None:
    """Print the error with a hint; as a line of the log in a process whose lines are JSON."""
    if sys.argv[1:2] and sys.argv[1] in PROCESSES:
        from aura.jobs.logs import log_error, logs_json

        if logs_json():
            log_error(error)
            return
    err.print(f"aura: {error}", style="red", markup=False, soft_wrap=True)
    if text := _hint(error):
        note(f"hint: {text}")


def _print_traceback(_kind: type[BaseException], error: BaseException, _frames: object) -> None:
    """Print the traceback without values, as the log shows it."""
    from aura.error_text import format_traceback

    err.print(format_traceback(error), markup=False, highlight=False, soft_wrap=True)


def _hint(error: Exception) -> str:
    """Name the command that helps; the packages below this one name values and no commands."""
    name = next(iter(sys.argv[1:]), "")
    name = LISTED_BY.get(name, name)
    if type(error).__name__ == "LoginRequired":  # by name: aura.oauth is not loaded for other commands
        return "`aura mail login` logs in"
    return f"`aura {name} list` shows those that exist" if isinstance(error, NotFound) and name in LISTS else ""
