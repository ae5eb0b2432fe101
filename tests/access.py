"""Access to an installation under test: an API key that is the same everywhere, and the login of a browser."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from typing import Any

from playwright.sync_api import BrowserContext
from sqlalchemy import Engine, text

from db.api_keys import SCOPES, digest
from db.database import make_engine

KEY = "aura_local"
#: The header of a program that has all scopes once its key is granted.
AUTHORIZATION = {"Authorization": f"Bearer {KEY}"}

_GRANT = """
INSERT INTO api_keys (name, digest, hint, scopes, created_at)
SELECT 'local', :digest, 'aura_local', :scopes, CURRENT_TIMESTAMP
WHERE NOT EXISTS (SELECT 1 FROM api_keys WHERE digest = :digest)
"""


def grant(database: Engine | str) -> None:
    """Store the API key in migrated tables, of this or an earlier version."""
    scopes = "[" + ", ".join(f'"{scope}"' for scope in SCOPES) + "]"
    url = database.replace("postgresql://", "postgresql+psycopg2://") if isinstance(database, str) else ""
    engine = make_engine(url, 1) if isinstance(database, str) else database
    with engine.begin() as connection:
        sql = _GRANT if engine.dialect.name == "sqlite" else _GRANT.replace(":scopes", "CAST(:scopes AS jsonb)")
        connection.execute(text(sql), {"digest": digest(KEY), "scopes": scopes})


def request(url: str, data: bytes | None = None, method: str | None = None, **headers: str) -> urllib.request.Request:
    """Return a request of the program; a body is JSON."""
    kind = {} if data is None else {"Content-Type": "application/json"}
    return urllib.request.Request(url, data, kind | AUTHORIZATION | headers, method=method)


def log_in(context: BrowserContext, url: str, env: dict[str, str], name: str = "") -> None:
    """Log a browser in with a login link; without a name as the administrator."""
    code = "import sys; from aura.cli.users import login_link; print(login_link(sys.argv[1] or None, sys.argv[2]))"
    command = [sys.executable, "-c", code, name, url.rstrip("/")]
    made = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=True)
    page: Any = context.new_page()
    page.goto(made.stdout.strip())
    page.close()
