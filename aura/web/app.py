"""The web process: `uvicorn aura.web.app:app`. It accepts tickets while RabbitMQ, Redis and OpenAI are down."""

from __future__ import annotations

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
from aura.web import api, health, problems
from aura.web.api import auth, create, events, mail, notifications
from aura.web.auth import identity
from aura.web.auth.sessions import Login
from aura.web.body_limit import BodyLimit
from aura.web.group_commit import TicketWriter
from aura.web.headers import SecurityHeaders
from aura.web.load_shedding import LoadShedding
from aura.web.long_poll import LongPoll
from aura.web.pages import render, routes
from aura.web.tracing import RequestTracing
from db.database import dispose

logger = structlog.get_logger("aura.web")


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    configure_logging()
    events.stop_with_process(events.streams)
    try:
        logger.info(await run_in_threadpool(identity.how))
    except SQLAlchemyError as error:  # who may ask is looked up at each request, and then the database may be there
        logger.warning("the database is away", error=first_line(error))
    gc.freeze()  # to look through the whole program for garbage again and again stops every request for a tenth of a second
    yield
    tracing.flush()
    flush_logs()
    dispose()


def remember_nothing(app: FastAPI) -> None:
    """Let nobody wait any more, as in a process that has just begun."""
    app.state.acceptor, app.state.door, app.state.waiting = TicketWriter(), Login(), LongPoll()


def make_app() -> FastAPI:
    """Return the application; settings are read here, so a wrong one stops the process with its name and the fix."""
    get_settings()
    app = FastAPI(
        title="Aura",
        description="Service-desk tickets in, decisions and notifications out.",
        lifespan=_lifespan,
        docs_url=None,  # its pages come from a CDN, which many a service desk cannot reach; /openapi.json stays
        redoc_url=None,
        responses=problems.PROBLEMS,
    )
    remember_nothing(app)
    problems.install(app)
    app.add_middleware(BodyLimit, larger=mail.limits())
    app.add_middleware(RequestTracing)
    app.add_middleware(LoadShedding)  # before all that costs time
    app.add_middleware(SecurityHeaders)  # the last is the outermost
    app.include_router(create.entrance)  # first: to compare with each other route takes as long as to accept a ticket
    app.include_router(routes.router)  # before the API: a browser gets the page where a program gets JSON
    app.include_router(create.router)
    app.include_router(api.router)
    app.include_router(auth.router)
    app.include_router(health.router)
    app.include_router(notifications.router)
    app.include_router(mail.router)
    app.mount("/static", render.static_files())
    identity.check(app)
    return app


app = make_app()
