"""`aura run`: web, relay, workers and scheduler in one process."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aura.cli.database import audited, ready_database
from aura.cli.output import err


def run(
    port: Annotated[int | None, typer.Option(help="Port of the web process. Default: PORT, else 8000.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Worker threads. Default: WORKER_THREADS, else 8.")] = None,
) -> None:
    """Run web, relay, workers and scheduler in one process. Ctrl-C finishes the running jobs and stops.

    Example: aura run --port 9000
    """
    from aura.settings import get_settings

    settings = get_settings()
    err.print(settings.mode(), soft_wrap=True)
    with ready_database():
        from aura.web.app import app as web
        from aura.web.auth.identity import access_mode
        from aura.web.server import serve
        from pipelines.embedded import running

        port = port or settings.port
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
        address = settings.base_url if settings.production else f"http://{host}:{port}"
        # uvicorn finishes its requests and raises the signal again: then the workers finish their jobs
        exit_on_signals()
        with running(threads=threads):
            err.print(
                f"Open {address} in a browser; programs post tickets to {address}/api/v1/tickets.", soft_wrap=True
            )
            _create_first_user(settings.production)
            err.print(access_mode(), soft_wrap=True)
            serve(web, settings.host, port)


def _create_first_user(production: bool) -> None:
    """Create the first user and print its password once; never in production, where the output is a log."""
    if production:
        return
    from db import reading, users

    with reading() as session:
        if users.any_created(session):
            return
    with audited("user.create", f"user/{users.FIRST_USER}", role="admin") as session:
        password = users.create_first(session)
    if password:
        err.print(
            f"Log in as {users.FIRST_USER} with the password {password} (shown only once). "
            f"`aura users password {users.FIRST_USER}` changes it, `aura users create NAME --role operator` adds a user.",
            soft_wrap=True,
            markup=False,
        )


def exit_on_signals() -> None:
    """Exit on SIGTERM and SIGINT; Python ignores SIGINT when its parent did, as a shell does in the background."""
    import signal

    def stop(*_: Any) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.default_int_handler)
