"""Structured logs on stderr: formatted for people, or one JSON object a line; one context from web to worker.

Exceptions are logged with `aura.error_text`, without values and local variables, and e-mail addresses are masked in every
field. Lines of libraries are cut to their first line without quoted parts; below WARNING they are not logged, except for the
start and the stop of worker processes.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from aura.error_text import format_traceback, library_text, mask_addresses, stacks
from aura.jobs.sentry import Reporter
from aura.settings import Settings, SettingsError, get_settings

#: Packages whose messages are ours and contain no values.
OWN = ("aura", "actors", "pipelines", "db", "uvicorn")
#: Loggers of libraries that repeat what Aura logs itself: one line for an attempt, no traceback for a broker that is away.
SILENT = ("pika", "dramatiq.worker.WorkerThread", "apscheduler", "httpx2", "uvicorn.access")
#: Loggers of Dramatiq that say that a process is ready, and why it stops.
PROCESSES = ("dramatiq.MainProcess", "dramatiq.WorkerProcess(")
LONGEST_TEXT = 2_000


def logs_json() -> bool:
    """Return whether LOG_FORMAT is json, also while the settings are invalid."""
    try:
        return get_settings().log_format == "json"
    except SettingsError:
        return os.environ.get("LOG_FORMAT") == "json"


def log_error(error: BaseException) -> None:
    """Write the error that ends a process as one line of the log."""
    configure_logging(fallback=True)
    structlog.get_logger("aura").critical(str(error))


def configure_logging(*, fallback: bool = False) -> None:
    """Format the lines of structlog and of libraries as LOG_LEVEL and LOG_FORMAT say, also those of unforeseen errors.

    Raises SettingsError, unless `fallback` says to log that very error.
    """
    settings: Settings | None
    try:
        settings = get_settings()
    except SettingsError:
        if not fallback:
            raise
        settings = None
    as_json = logs_json()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(default=_type_or_text)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _cut_message],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                mask_fields,
                _add_exception(stacks if as_json else format_traceback),
                renderer,
            ],
        )
    )
    handler.addFilter(worth_logging)
    logging.basicConfig(level=settings.log_level if settings else "INFO", handlers=[handler], force=True)
    for name in (*SILENT, "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL if name != "alembic" else logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):  # started as `uvicorn ...`, it has handlers of its own
        logging.getLogger(name).handlers, logging.getLogger(name).propagate = [], True
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    _log_unforeseen_errors()
    if settings and settings.sentry_dsn is not None:  # now that the warnings of its import are lines of the log
        reporter = Reporter(settings)
        reporter.addFilter(worth_logging)
        logging.getLogger().addHandler(reporter)


def flush_logs() -> None:
    """Flush every handler; a forked process runs no exit handler that would."""
    for handler in logging.getLogger().handlers:
        handler.flush()


class _Handler(logging.StreamHandler[Any]):
    """Writes to stderr. A line that cannot be formatted is replaced: Python's own message would show its arguments."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        line = {"event": "log line lost", "level": "error", "logger": record.name, "error": type(error).__name__}
        with suppress(OSError, ValueError):  # stderr is closed
            self.stream.write(json.dumps(line) + "\n")


def worth_logging(record: logging.LogRecord) -> bool:
    """Return whether a line is logged: of libraries, warnings and errors alone, for their details quote requests and rows.

    The lines of Dramatiq about the start and the stop of a worker process quote nothing.
    """
    of_process = record.levelno >= logging.INFO and record.name.startswith(PROCESSES)
    return record.levelno >= logging.WARNING or of_process or is_own(record.name)


def is_own(logger: str) -> bool:
    """Return whether a logger is one of Aura's, or of uvicorn."""
    return logger.partition(".")[0] in OWN


def _cut_message(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """Cut the message of a library."""
    record = fields.get("_record")
    if record is not None and not is_own(record.name):
        fields["event"] = library_text(str(fields["event"]))
    return fields


def mask_fields(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """Mask the e-mail addresses of every field, and cut long texts."""
    return {name: value if name == "exc_info" else masked(value) for name, value in fields.items()}


def masked(value: Any) -> Any:
    """Return a value of a field with its addresses masked."""
    if isinstance(value, str):
        return mask_addresses(value[:LONGEST_TEXT])
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(each) for each in value]
    if isinstance(value, dict):
        return {masked(key): masked(each) for key, each in value.items()}
    return value


def _add_exception(formatted: Callable[[BaseException], Any]) -> Processor:
    def add(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        error = exception_of(fields.pop("exc_info", None))
        if error is not None:
            fields["exception"] = formatted(error)
        fields.pop("stack_info", None)
        return fields

    return add


def exception_of(exc_info: Any) -> BaseException | None:
    """Return the exception of a log line: True is the one that is being handled."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) > 1 and isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def _type_or_text(value: Any) -> str:
    """Return a field that is no value of JSON; the repr of an object may quote anything."""
    return str(value) if isinstance(value, datetime | date | Path | int | float) else type(value).__name__


def _log_unforeseen_errors() -> None:
    """Send the last resorts of the interpreter through the log: uncaught exceptions, of threads too, and warnings."""
    logger = structlog.get_logger("aura")

    def uncaught(kind: type[BaseException], error: BaseException, _frames: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        logger.critical("uncaught exception", exc_info=error)
        flush_logs()

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            name = args.thread.name if args.thread else ""
            logger.critical("uncaught exception of a thread", thread=name, exc_info=args.exc_value)

    def unraisable(args: Any) -> None:
        logger.error("exception ignored", exc_info=args.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_thread, unraisable
    logging.captureWarnings(True)
