"""The web process: `uvicorn web.app:app`. It accepts tickets while RabbitMQ, Redis and OpenAI are down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from actors.logs import configure_logging
from db.sessions import dispose
from settings import get_settings
from web import api, health, notifications, problems
from web.limits import BodyLimit


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    configure_logging()
    yield
    dispose()


def make_app() -> FastAPI:
    """Return the application; settings are read here, so a wrong one stops the process with its name and the fix."""
    get_settings()
    app = FastAPI(
        title="Aura",
        description="Service-desk tickets in, decisions and notifications out.",
        lifespan=_lifespan,
        docs_url=None,  # its pages come from a CDN, which many a service desk cannot reach; /openapi.json stays
        redoc_url=None,
    )
    problems.install(app)
    app.add_middleware(BodyLimit)
    app.include_router(api.router)
    app.include_router(health.router)
    app.include_router(notifications.router)
    return app


app = make_app()
