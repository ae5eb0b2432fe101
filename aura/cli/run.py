"""The processes that the command itself runs: everything in one, or the clock alone."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aura.cli.database import acts, ready_database
from aura.cli.output import err


def run(
    port: Annotated[int | None, typer.Option(help="Port of the web process; default PORT, else 8000.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Worker threads; default AURA_WORKER_THREADS.")] = None,
) -> None:
    """Run everything in one process: web, relay, workers and clock. Ctrl-C finishes what was started and stops."""
    import uvicorn

    from aura.settings import get_settings

    settings = get_settings()
    err.print(settings.mode(), soft_wrap=True)
    with ready_database():
        from aura.web.app import app as web
        from aura.web.auth.identity import access_mode
        from pipelines.embedded import running

        port = port or settings.port
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
        address = settings.base_url if settings.production else f"http://{host}:{port}"
        # uvicorn finishes its requests and raises the signal again: then the workers finish theirs
        _stop_at_signals()
        with running(threads=threads):
            err.print(f"Open {address} in a browser; programs send tickets to {address}/tickets.", soft_wrap=True)
            _first_login(settings.production)
            err.print(access_mode(), soft_wrap=True)
            uvicorn.run(web, host=settings.host, port=port, log_config=None)


def _first_login(production: bool) -> None:
    """Make the first user and say the password, this once; in production nobody's password goes into a log."""
    if production:
        return
    from db import reading, users

    with reading() as session:
        if users.any_created(session):
            return
    with acts("user.create", f"user/{users.FIRST_USER}", role="admin") as session:
        password = users.create_first(session)
    if password:
        err.print(
            f"Log in as {users.FIRST_USER} with the password {password} (said this once; `aura users password {users.FIRST_USER}` "
            "sets another, `aura users create NAME --role operator` lets somebody else in).",
            soft_wrap=True,
            markup=False,
        )


def clock() -> None:
    """Run the timetable: re-analysis, recovery, pruning. Several clocks may run; one leads."""
    with ready_database():
        from aura.jobs.logs import configure_logging
        from pipelines.scheduler import Scheduler

        configure_logging()
        timekeeper = Scheduler()

        _stop_at_signals()
        err.print("The clock runs. Ctrl-C stops it.")
        try:
            timekeeper.start(blocking=True)
        except (KeyboardInterrupt, SystemExit):
            timekeeper.stop()


def _stop_at_signals() -> None:
    """Stop at SIGTERM and at SIGINT; Python leaves SIGINT ignored when its parent did, as a shell does in the background."""
    import signal

    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _stop(*_: Any) -> None:
    raise SystemExit(0)
