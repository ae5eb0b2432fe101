"""`aura run`: web, relay, workers and scheduler in one process."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aura.cli.database import ready_database
from aura.cli.output import announce


def run(
    port: Annotated[int | None, typer.Option(help="Port of the web process. Default: PORT, else 8000.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Worker threads. Default: WORKER_THREADS, else 8.")] = None,
) -> None:
    """Run web, relay, workers and scheduler in one process. Ctrl-C finishes the running jobs and stops.

    Example: aura run --port 9000
    """
    from aura.settings import get_settings

    settings = get_settings()
    announce(settings.mode())
    with ready_database():
        from aura.web.app import app as web
        from aura.web.server import serve
        from pipelines.embedded import running

        port = port or settings.port
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
        address = settings.base_url if settings.production else f"http://{host}:{port}"
        # uvicorn finishes its requests and raises the signal again: then the workers finish their jobs
        exit_on_signals()
        with running(threads=threads):
            serve(web, settings.host, port, on_started=lambda: _print_addresses(address, settings.production))


def _print_addresses(address: str, production: bool) -> None:
    """Print the address, with a link that logs the administrator in; not in production, where the output is a log."""
    from aura.cli.users import login_link
    from aura.errors import AuraError

    announce(f"Programs post tickets to {address}/api/v1/tickets, with an API key.")
    if production:
        announce(f"Open {address} in a browser.")
        return
    try:
        link = login_link(None, address)
    except AuraError:  # another installation than the one that `aura run` made: its users have passwords
        announce(f"Open {address} in a browser. `aura users login-link NAME` prints a link that logs in.")
        return
    announce(f"Open {link} in a browser: the link works once, for 15 minutes. `aura users login-link` prints another.")


def exit_on_signals() -> None:
    """Exit on SIGTERM and SIGINT; Python ignores SIGINT when its parent did, as a shell does in the background."""
    import signal

    def stop(*_: Any) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.default_int_handler)
