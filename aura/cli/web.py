"""`aura web`: the process that serves pages and API, and accepts tickets."""

from __future__ import annotations

from typing import Annotated

import typer


def web(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: HOST, else 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on. Default: PORT, else 8000.")
    ] = None,
) -> None:
    """Run the web process: pages, API and health checks. It needs the database only. SIGTERM finishes running requests.

    WEB_CONCURRENCY starts several processes, FORWARDED_ALLOW_IPS names the proxies in front of it.

    Example: aura web --host 0.0.0.0 --port 8000
    """
    from aura.jobs.logs import configure_logging
    from aura.settings import get_settings
    from aura.web.server import serve
    from db.database import dispose, refuse_wrong_pooler

    settings = get_settings()
    configure_logging()
    refuse_wrong_pooler()
    dispose()  # the connection is not for the processes that the server starts
    serve("aura.web.app:app", host or settings.host, port or settings.port)
