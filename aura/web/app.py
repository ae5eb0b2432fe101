"""The web process: `aura web` serves it. It accepts tickets while RabbitMQ, Redis and the AI provider are down."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from aura.jobs import tracing
from aura.jobs.logs import configure_logging, flush_logs
from aura.settings import first_line, get_settings
from aura.web import api, health, pages, problems, render
from aura.web.access_log import AccessLog
from aura.web.api import events, mail, tickets
from aura.web.auth import identity, requirements
from aura.web.auth.login import Login
from aura.web.auth.security_events import events as security_events
from aura.web.body_formats import BodyFormats
from aura.web.body_limit import BodyLimit
from aura.web.data_age import DataAge
from aura.web.group_commit import TicketWriter
from aura.web.head_requests import HeadRequests
from aura.web.headers import SecurityHeaders
from aura.web.load_shedding import LoadShedding
from aura.web.long_poll import LongPoll
from aura.web.server import return_memory
from aura.web.tracing import RequestTracing
from db.database import dispose

logger = structlog.get_logger("aura.web")


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    configure_logging()
    events.stop_at_shutdown(events.feed)
    try:
        logger.info(await run_in_threadpool(identity.access_mode))
    except SQLAlchemyError as error:  # access is checked at each request, and the database may be back by then
        logger.warning("database unavailable", error=first_line(error))
    return_memory()
    gc.freeze()  # a garbage collection of the loaded modules would stop all requests for a tenth of a second
    yield
    await run_in_threadpool(security_events.flush)
    tracing.flush()
    flush_logs()
    dispose()


def reset_state(app: FastAPI) -> None:
    """Give the application the empty queues of a process that has just started."""
    app.state.ticket_writer, app.state.login, app.state.long_poll = TicketWriter(), Login(), LongPoll()
    app.state.large_mails = asyncio.Semaphore(1)


def make_app() -> FastAPI:
    """Return the application. Raises SettingsError for an invalid setting."""
    get_settings()
    app = FastAPI(
        title="Aura",
        description="Service-desk tickets in, decisions and notifications out.",
        lifespan=_lifespan,
        docs_url=None,  # its pages load scripts from a CDN; /openapi.json stays
        redoc_url=None,
        strict_content_type=False,  # a body without a Content-Type is JSON; `same_origin` refuses pages of other sites
        responses=problems.PROBLEMS,
    )
    reset_state(app)
    problems.install(app)
    # the last middleware is the outermost
    app.add_middleware(BodyLimit, larger=mail.body_limits())
    app.add_middleware(BodyFormats)
    app.add_middleware(RequestTracing)
    app.add_middleware(LoadShedding)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(HeadRequests)
    app.add_middleware(DataAge)
    app.add_middleware(AccessLog)
    app.include_router(tickets.create_alias)
    app.include_router(pages.router)  # before the API: a browser gets the page of a ticket, a program the alias's JSON
    app.include_router(tickets.show_alias)
    app.include_router(api.router)
    app.include_router(health.router)
    app.mount("/static", render.static_files())
    requirements.check(app)
    return app


app = make_app()
