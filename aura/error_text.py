"""Texts of exceptions for logs, traces, Sentry and pages: what happened, without values of tickets and statements.

Databases quote values in their errors: `Key (external_id)=(...)`, `Failing row contains (...)`, `invalid input syntax for
type integer: "..."`. Of such errors the class, SQLSTATE and names of constraints and columns stay. Of Aura's own errors the
message stays; of all others only what the code itself or the interpreter wrote. E-mail addresses are masked everywhere.
"""

from __future__ import annotations

import linecache
import re
import sqlite3
import traceback
from bisect import bisect_right
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any

from aura.errors import AuraError

LIMIT = 500
#: Exceptions of a chain or a group that are described.
MAX_CHAIN = 10
MASKED_ADDRESS = "[address]"
_REMOVED = "[...]"
# bounded parts, so that a long text takes linear time; `***@host` of a redacted URL does not match
_ADDRESS = re.compile(
    r"""(?:"[^"\s]{1,64}"|(?<![\w.+\-/])[\w.!#$%&'+/=?^`{|}~-]{1,64})@(?:[\w-]{1,63}\.){0,8}[\w-]{1,63}""", re.UNICODE
)
_URL_USER = re.compile(r"://[^/\s@]{1,200}@")
_QUOTED = re.compile(
    r"""(?<![A-Za-z0-9])[bru]{0,2}["'`‘“«].*["'`’”»]|(?<![A-Za-z0-9])[bru]{0,2}["'`‘“«].*\Z""", re.DOTALL
)
_NAME = re.compile(r"""(["'])([A-Za-z_][\w.]{0,62})\1""")
#: Classes of SQLSTATE whose messages quote names and never values.
_NAMING_CLASSES = frozenset({"08", "23", "25", "28", "3D", "40", "42", "53", "55", "57", "58"})
_SYNTAX_ERROR, _DATA_EXCEPTION = "42601", "22"
#: Packages that speak with services and quote names of queues and hosts.
_SERVICES = frozenset({"pika", "redis", "ssl", "socket", "dramatiq", "apscheduler", "alembic", "sqlalchemy"})
#: Constant beginnings of messages of the interpreter.
_CONSTANT = re.compile(
    r"invalid literal for int\(\) with base \d+|could not convert string to float|(?:not enough|too many) values to unpack|"
    r"(?:list|tuple|string|pop) (?:assignment )?index out of range|division by zero|"
    r"Expecting (?:value|property name|',' delimiter)|"
    r"maximum recursion depth exceeded|I/O operation on closed file|'\w[\w-]{1,20}' codec can't (?:en|de)code|"
    r"Invalid isoformat string|A string literal cannot contain NUL|dictionary changed size during iteration|"
    r"cannot schedule new futures after shutdown|can't start new thread"
)
_SQLITE_KEPT = re.compile(
    r"(?:(?:UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: [\w., ]{1,200})?|no such table: \w{1,63}|database is locked|"
    r"database table is locked|database disk image is malformed|disk I/O error|unable to open database file|"
    r"attempt to write a readonly database|database or disk is full|interrupted|too many SQL variables|"
    r"Cannot operate on a closed database\.?)\Z"
)


def error_text(error: BaseException) -> str:
    """Return what happened in one line, without values; the name of the class when nothing else is left."""
    return _line(_described(error)) or type(error).__name__


def mask_addresses(text: str) -> str:
    """Return the text with e-mail addresses masked; users of URLs are none."""
    if "@" not in text:
        return text
    users = [each.span() for each in _URL_USER.finditer(text)]

    def masked(match: re.Match[str]) -> str:
        before = bisect_right(users, match.start(), key=itemgetter(0))
        return match[0] if before and match.start() < users[before - 1][1] else MASKED_ADDRESS

    return _ADDRESS.sub(masked, text)


def library_text(text: str) -> str:
    """Return the message of a library in one line, without quoted parts, which may be values."""
    return _line(_QUOTED.sub(_REMOVED, _first(text)))


def database_text(error: BaseException, statement: str = "") -> str | None:
    """Return what a database error says without values, or None for another exception.

    Names of tables and columns stay if the statement, without its parameters, contains them.
    """
    original = getattr(error, "orig", None)
    if isinstance(original, BaseException):  # SQLAlchemy's; its own text has the statement, too
        inner = database_text(original, statement or str(getattr(error, "statement", None) or "")) or _described(
            original
        )
        return f"({type(original).__name__}) {inner}"
    if isinstance(error, sqlite3.Error):
        text = _first(str(error))
        return text if _SQLITE_KEPT.match(text) else str(getattr(error, "sqlite_errorname", None) or "SQLite error")
    if any(each.__module__.partition(".")[0] in ("psycopg2", "psycopg") for each in type(error).__mro__):
        return _postgresql_text(error, statement)
    return None


def _postgresql_text(error: BaseException, statement: str) -> str:
    state, diag = getattr(error, "pgcode", None), getattr(error, "diag", None)
    if not state:  # of libpq or the driver; a lost connection quotes host, user and database
        return _first(str(error)) if type(error).__name__ in ("OperationalError", "InterfaceError") else _plain(error)
    text = str(getattr(diag, "message_primary", None) or _first(str(error)))
    names = {getattr(diag, f"{each}_name", None) for each in ("constraint", "table", "column", "schema", "datatype")}
    if state[:2] not in _NAMING_CLASSES and state[:2] != _DATA_EXCEPTION:
        text = type(error).__name__  # such as RAISE in a function, whose text is free
    elif state[:2] == _DATA_EXCEPTION or state == _SYNTAX_ERROR:
        text = _QUOTED.sub(_REMOVED, text).partition(":")[0]
    elif state[:2] == "23":
        text = _NAME.sub(lambda match: f"«{match[2]}»" if match[2] in names else _REMOVED, text)
        text = re.sub(r"""["'].*""", _REMOVED, text, flags=re.DOTALL)
    elif state[:2] == "42":
        text = _keep_names(text, lambda name: name in statement)
    else:
        text = _keep_names(text)
    return f"{text.replace('«', chr(34)).replace('»', chr(34))} [{state}]"


def _described(error: BaseException) -> str:
    found = database_text(error)
    if found is not None:
        return found
    if isinstance(error, AuraError):
        text = str(error)
        return _first(text.replace(error.quoted, _REMOVED) if error.quoted else text)
    if type(error).__module__.startswith("pydantic") and hasattr(error, "errors"):
        each = error.errors(include_input=False, include_url=False, include_context=False)
        return f"{len(each)} invalid: " + ", ".join(sorted({str(one["type"]) for one in each}))
    if isinstance(error, OSError) and type(error).__module__ == "builtins":
        return _first(str(error))
    return _plain(error)


def _plain(error: BaseException) -> str:
    text = _first(error.message if isinstance(error, BaseExceptionGroup) else str(error))
    if isinstance(error, AttributeError | NameError | ImportError | TypeError):
        return _keep_names(text)
    if type(error).__module__.partition(".")[0] in _SERVICES:
        return _QUOTED.sub(_REMOVED, text)
    code = _raising_code(error)
    if f'"{text}' in code or f"'{text}" in code:
        return text  # a constant of the code, which the traceback shows
    known = _CONSTANT.match(text)
    return known[0] if known else ""


def _raising_code(error: BaseException) -> str:
    """Return the lines of the statement that raised the exception."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    if not frames or frames[0].lineno is None:
        return ""
    first, last = frames[0].lineno, frames[0].end_lineno or frames[0].lineno
    return "\n".join(linecache.getline(frames[0].filename, at) for at in range(first, min(last, first + 20) + 1))


def _keep_names(text: str, keep: Callable[[str], bool] = bool) -> str:
    """Remove what is quoted unless it is an identifier, and `keep` returns true."""
    kept = _NAME.sub(lambda match: f"\0{match[2]}\1" if keep(match[2]) else _REMOVED, text)
    return _QUOTED.sub(_REMOVED, kept).replace("\0", '"').replace("\1", '"')


def _first(text: str) -> str:
    return next((line for line in text[: 8 * LIMIT].splitlines() if line.strip()), "").strip()


def _line(text: str) -> str:
    return mask_addresses(text[:LIMIT])


def chain(error: BaseException) -> Iterator[tuple[BaseException, bool]]:
    """Yield the exception, then its cause or context and so on, as tracebacks do: (exception, whether it is a cause)."""
    seen, current, is_cause = set[int](), error, False
    while id(current) not in seen and len(seen) < MAX_CHAIN:
        seen.add(id(current))
        yield current, is_cause
        following = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        if following is None:
            return
        is_cause, current = current.__cause__ is not None, following


def flattened(error: BaseException) -> list[BaseException]:
    """Return the exceptions of the chain, each followed by the members of its group."""
    found: list[BaseException] = []
    for each, _ in chain(error):
        found.append(each)
        for member in _members(each):
            found += flattened(member)
    return found[: 2 * MAX_CHAIN]


def stacks(error: BaseException, depth: int = 0) -> list[dict[str, Any]]:
    """Return the chain as values of JSON: type, text and frames of each exception, without local variables."""
    return [
        {
            "exc_type": type(each).__name__,
            "exc_value": error_text(each),
            "is_cause": is_cause,
            "frames": [
                {"filename": frame.filename, "lineno": frame.lineno, "name": frame.name}
                for frame in traceback.extract_tb(each.__traceback__, limit=-50)
            ],
            "is_group": isinstance(each, BaseExceptionGroup),
            "exceptions": [stacks(inner, depth + 1) for inner in _members(each)] if depth < 3 else [],
        }
        for each, is_cause in chain(error)
    ]


def format_traceback(error: BaseException, depth: int = 0) -> str:
    """Return the traceback as Python prints it, with the texts of `error_text`, and without notes."""
    parts: list[str] = []
    for each, is_cause in reversed(list(chain(error))):
        header = "Traceback (most recent call last):\n" if each.__traceback__ else ""
        frames = "".join(traceback.format_tb(each.__traceback__, limit=-50))
        kind = type(each)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        inner = "".join(format_traceback(member, depth + 1) for member in _members(each)) if depth < 3 else ""
        text = error_text(each)
        parts.append(f"{header}{frames}{name}{'' if text == kind.__name__ else f': {text}'}\n{inner}")
        if each is not error:
            parts.append(f"\n{'Cause' if is_cause else 'Context'} of:\n\n")
    return "".join(parts)


def _members(error: BaseException) -> tuple[BaseException, ...]:
    return error.exceptions[:MAX_CHAIN] if isinstance(error, BaseExceptionGroup) else ()
