"""Structured logs on stderr: formatted for people, or one JSON object a line; one context from web to worker."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer
from structlog.types import Processor

from aura.jobs.sentry import Reporter
from aura.settings import get_settings


def configure_logging() -> None:
    """Format the lines of structlog and of libraries as LOG_LEVEL and LOG_FORMAT say."""
    settings = get_settings()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Processor]
    if settings.log_format == "json":
        # local variables hold ticket text
        renderer = [ExceptionRenderer(ExceptionDictTransformer(show_locals=False)), structlog.processors.JSONRenderer()]
    else:
        plain = structlog.dev.plain_traceback
        renderer = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer]
        )
    )
    handlers: list[logging.Handler] = [handler]
    if settings.sentry_dsn is not None:
        handlers.append(Reporter(settings))
    logging.basicConfig(level=settings.log_level, handlers=handlers, force=True)
    # Aura logs one line for an attempt, and no traceback for a broker that is away
    for name in ("pika", "dramatiq.worker.WorkerThread", "apscheduler", "alembic", "httpx2", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.CRITICAL if name != "alembic" else logging.WARNING)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def flush_logs() -> None:
    """Flush every handler; a forked process runs no exit handler that would."""
    for handler in logging.getLogger().handlers:
        handler.flush()
