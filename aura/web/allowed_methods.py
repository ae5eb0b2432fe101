"""Allowed methods of a path, for the Allow header of a 405 response (RFC 9110, 10.2.1)."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts


def allowed_methods(app: FastAPI, path: str) -> str:
    """Return the methods of all routes that match the path, as in `GET, HEAD, POST`."""
    methods: set[str] = set()
    for route in iter_route_contexts(app.routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(path):
            # a mount has no methods: the static files
            methods |= getattr(route, "methods", None) or {"GET"}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
