"""Requirements: the scope that each route needs. A route that declares none stops the process at its start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from aura.errors import Forbidden
from aura.web.auth.identity import ACCOUNT, Identity, identify, needs_second_factor
from aura.web.auth.security_events import events
from aura.web.done_messages import signer
from aura.web.query_parameters import require_known


class SecondFactorMissing(Forbidden):
    """The role of the user requires a second factor, and the user has not set it up."""


#: Routes without a requirement: they show no ticket, or a signature says who sends the request.
PUBLIC = frozenset(
    {
        *(
            "/health/live",
            "/health/ready",
            "/openapi.json",
            "/login",
            "/login/code",
            "/api/v1/login",
            "/api/v1/mail",
            "/static",
        ),
        "/unsubscribe/{token}",
    }
)

_bearer = HTTPBearer(auto_error=False, description="An API key.")


class RequiresScope:
    """The dependency by which a route declares the scope it needs; its value is who sends the request."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(
        self, request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Identity:
        who = await identify(request, bearer.credentials if bearer else None)
        if self.scope not in who.scopes:
            if who.session and needs_second_factor(who.session):
                raise SecondFactorMissing("this role needs a second factor: set it up on the page /account")
            await run_in_threadpool(events.record, "access.refuse", who.name, who.address)
            raise Forbidden(f"{who.name} lacks the scope {self.scope}")
        request.state.who = who
        signer.set(who.csrf or f"key {who.key_id}")
        if request.url.path.startswith("/api/"):
            require_known(request)
        return who


REQUIRES_READ, REQUIRES_ADMIN = Depends(RequiresScope("read")), Depends(RequiresScope("admin"))
Reader = Annotated[Identity, REQUIRES_READ]
Submitter = Annotated[Identity, Depends(RequiresScope("submit"))]
Operator = Annotated[Identity, Depends(RequiresScope("operate"))]
#: A user, for the pages of the own account.
Person = Annotated[Identity, Depends(RequiresScope(ACCOUNT))]
Admin = Annotated[Identity, REQUIRES_ADMIN]


def check(app: FastAPI) -> None:
    """Raise RuntimeError for a route that declares no requirement and is not in PUBLIC."""
    for path, method, scope in route_scopes(app):
        if scope is None and path not in PUBLIC:
            raise RuntimeError(f"{method} {path} declares no scope: add a Reader, Submitter, Operator or Admin")


def route_scopes(app: FastAPI) -> Iterator[tuple[str, str, str | None]]:
    """Return the path, method and scope of every route; the scope of a public route is None."""
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        for method in sorted(getattr(route, "methods", None) or {"*"}):
            yield getattr(route, "path", ""), method, _scope(dependant) if dependant else None


def _scope(dependant: Any) -> str | None:
    if isinstance(dependant.call, RequiresScope):
        return dependant.call.scope
    return next((scope for each in dependant.dependencies if (scope := _scope(each))), None)
