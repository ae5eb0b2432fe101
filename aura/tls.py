"""TLS of outbound HTTP: the trusted certificate authorities, read once per process."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache


def https_context() -> ssl.SSLContext:
    """Return the shared context that trusts the authorities of SSL_CERT_FILE and SSL_CERT_DIR or, without them, of the system.

    Threads and connections share it, because reading some hundred certificates takes longer than a request.
    """
    return _context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=4)
def _context(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    return ssl.create_default_context()
