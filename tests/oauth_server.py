"""An OAuth 2.0 server on 127.0.0.1, by Authlib and Flask: all grants that Aura uses, introspection, and Entra's paths.

    with TokenServer() as server:
        client = server.add_client(mailbox="desk")
        configure(AURA_OAUTH_TOKEN_URL=server.token_url, AURA_OAUTH_CLIENT_ID=client.id, AURA_OAUTH_CLIENT_SECRET=client.secret)

Clients reach it over TLS (SSL_CERT_FILE=PEM), Dovecot asks over plain HTTP whether a token is valid.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7523 import JWTBearerGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialDict
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import Flask, Response, request
from joserfc.jwk import RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.receiver import PEM

METHODS = ["client_secret_basic", "client_secret_post", "none"]
#: The client with which a mail server asks for tokens.
INTROSPECTION = ("mail-server", "knows-all-tokens")


@dataclass
class Client:
    """A client; its tokens open the mailbox."""

    id: str
    secret: str
    mailbox: str
    methods: tuple[str, ...] = ("client_secret_basic", "client_secret_post")
    grants: tuple[str, ...] = ()
    public_key: str = ""

    def get_client_id(self) -> str:
        return self.id

    def get_allowed_scope(self, scope: str) -> str:
        return scope or ""

    def get_default_redirect_uri(self) -> str:
        return ""

    def check_redirect_uri(self, uri: str) -> bool:
        return uri.startswith("http://127.0.0.1:")

    def check_client_secret(self, secret: str) -> bool:
        return bool(self.secret) and secrets.compare_digest(self.secret, secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in (self.methods if self.secret else ("none",))

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return not self.grants or kind in self.grants


@dataclass
class Issued:
    """A token, or the code of an authorization."""

    value: str
    refresh: str
    client: Client
    mailbox: str
    scope: str
    expires_at: float
    revoked: bool = False
    redirect_uri: str = ""
    code_challenge: str = ""
    code_challenge_method: str = ""

    def get_scope(self) -> str:
        return self.scope

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def check_client(self, client: Client) -> bool:
        return self.client.id == client.id

    def is_expired(self) -> bool:
        return time.time() >= self.expires_at

    def is_revoked(self) -> bool:
        return self.revoked


@dataclass
class State:
    """What the server knows. `reply` answers in its stead, such as `lambda path, form: (503, {})`."""

    clients: dict[str, Client] = field(default_factory=dict)
    issued: list[Issued] = field(default_factory=list)
    devices: dict[str, Any] = field(default_factory=dict)
    decisions: dict[str, tuple[str, bool]] = field(default_factory=dict)
    codes: dict[str, Issued] = field(default_factory=dict)
    #: Path and form of each request.
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    reply: Callable[[str, dict[str, str]], tuple[int, object] | None] = lambda path, form: None
    lifetime: int = 3600
    interval: int = 1
    #: Whether a refresh token can be used once.
    rotate: bool = True


class _Silent(WSGIRequestHandler):
    def log_request(self, *_about: object) -> None:
        """Write no log."""


class TokenServer:
    """The server; `port` is the one for introspection."""

    def __init__(self, port: int = 0) -> None:
        self.state = State()
        self.app = _app(self.state)
        self._servers = [
            make_server(
                "127.0.0.1", 0, self.app, threaded=True, request_handler=_Silent, ssl_context=(str(PEM), str(PEM))
            ),
            make_server("127.0.0.1", port, self.app, threaded=True, request_handler=_Silent),
        ]
        self._threads = [
            threading.Thread(target=each.serve_forever, args=(0.05,), daemon=True) for each in self._servers
        ]
        for thread in self._threads:
            thread.start()
        self.authority = f"https://127.0.0.1:{self._servers[0].port}"
        self.base = f"{self.authority}/contoso/oauth2/v2.0"
        self.token_url, self.device_url = f"{self.base}/token", f"{self.base}/devicecode"

    def add_client(self, mailbox: str, *, public: bool = False, **options: Any) -> Client:
        """Register a client, without a secret when it is public."""
        secret = "" if public else f"secret-{secrets.token_hex(16)}"
        client = Client(f"client-{secrets.token_hex(8)}", secret, mailbox, **options)
        self.state.clients[client.id] = client
        return client

    def add_service_account(self, mailbox: str) -> dict[str, str]:
        """Register a service account that may open the mailbox, and return its key as Google writes it."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = f"aura-{secrets.token_hex(4)}@example.iam.gserviceaccount.com"
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.state.clients[name] = Client(name, "unused", mailbox, public_key=public)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return {
            "type": "service_account",
            "client_email": name,
            "private_key": private,
            "private_key_id": "1",
            "token_uri": self.token_url,
        }

    def decide(self, user_code: str, approved: bool = True, mailbox: str = "") -> None:
        """Enter the code of a device, as a person does in the browser."""
        device = next(each for each in self.state.devices.values() if each.get_user_code() == user_code)
        client = self.state.clients[device.get_client_id()]
        self.state.decisions[user_code] = (mailbox or client.mailbox, approved)

    def consent(self, url: str) -> str:
        """Allow access at an authorization URL, and return the address to which the browser is sent."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        answer = self.app.test_client().get("/authorize", query_string=query, base_url=self.authority)
        return str(answer.headers["Location"])

    def paths(self, name: str = "token") -> int:
        """Return how many requests an endpoint got."""
        return sum(path.endswith(f"/{name}") for path, _ in self.state.requests)

    def close(self) -> None:
        """Stop the server; its clients find nobody."""
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join(10)
            server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _app(state: State) -> Flask:
    app = Flask("tests.oauth_server")
    app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
    app.config["OAUTH2_TOKEN_EXPIRES_IN"] = None
    state.clients[INTROSPECTION[0]] = Client(*INTROSPECTION, mailbox="")
    server = AuthorizationServer(
        app, query_client=state.clients.get, save_token=lambda token, req: _save(state, token, req)
    )
    _register(server, state)

    @app.before_request
    def _before() -> Response | None:
        form = request.form.to_dict()
        state.requests.append((request.path, form))
        answer = state.reply(request.path, form)
        if answer is None:
            return None
        status, body = answer
        text = body if isinstance(body, str) else json.dumps(body)
        return Response(text, status, content_type="application/json")

    @app.get("/<tenant>/v2.0/.well-known/openid-configuration")
    def _discovery(tenant: str) -> Any:
        if tenant == "nobody":
            return {"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant 'nobody' not found."}, 400
        base = f"{request.host_url}{tenant}/oauth2/v2.0"
        names = {
            "token_endpoint": "token",
            "authorization_endpoint": "authorize",
            "device_authorization_endpoint": "devicecode",
        }
        return {"issuer": f"{request.host_url}{tenant}/v2.0"} | {name: f"{base}/{path}" for name, path in names.items()}

    @app.post("/<tenant>/oauth2/v2.0/token")
    def _token(tenant: str) -> Any:
        return server.create_token_response()

    @app.post("/<tenant>/oauth2/v2.0/devicecode")
    def _device(tenant: str) -> Any:
        return server.create_endpoint_response("device_authorization")

    @app.post("/introspect")
    def _introspect() -> Any:
        return server.create_endpoint_response("introspection")

    @app.get("/authorize")
    def _authorize() -> Any:
        grant = server.get_consent_grant(end_user="person")
        return server.create_authorization_response(grant_user="person", grant=grant)

    return app


def _save(state: State, token: dict[str, Any], req: Any) -> None:
    # the lifetime is a setting of the test, and part of the answer
    token["expires_in"] = state.lifetime
    mailbox = req.user if isinstance(req.user, str) and req.user != "person" else req.client.mailbox
    expires_at = time.time() + state.lifetime
    state.issued.append(
        Issued(
            token["access_token"],
            token.get("refresh_token", ""),
            req.client,
            mailbox,
            token.get("scope", ""),
            expires_at,
        )
    )


def _register(server: AuthorizationServer, state: State) -> None:
    class ClientCredentials(grants.ClientCredentialsGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    class Refresh(grants.RefreshTokenGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS
        INCLUDE_NEW_REFRESH_TOKEN = True

        def authenticate_refresh_token(self, refresh_token: str) -> Issued | None:
            return next((each for each in state.issued if each.refresh == refresh_token and not each.revoked), None)

        def authenticate_user(self, refresh_token: Issued) -> str:
            return refresh_token.mailbox

        def revoke_old_credential(self, refresh_token: Issued) -> None:
            refresh_token.refresh = "" if state.rotate else refresh_token.refresh

    class Code(grants.AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS

        def save_authorization_code(self, code: str, req: Any) -> None:
            data = req.payload.data
            state.codes[code] = Issued(
                code,
                "",
                req.client,
                req.client.mailbox,
                req.payload.scope,
                time.time() + 60,
                redirect_uri=req.payload.redirect_uri,
                code_challenge=data.get("code_challenge", ""),
                code_challenge_method=data.get("code_challenge_method", ""),
            )

        def query_authorization_code(self, code: str, client: Client) -> Issued | None:
            found = state.codes.get(code)
            return found if found and found.check_client(client) else None

        def delete_authorization_code(self, code: Issued) -> None:
            del state.codes[code.value]

        def authenticate_user(self, code: Issued) -> str:
            return code.mailbox

    class Device(DeviceCodeGrant):  # type: ignore[misc]
        def query_device_credential(self, device_code: str) -> Any:
            return state.devices.get(device_code)

        def query_user_grant(self, user_code: str) -> tuple[str, bool] | None:
            return state.decisions.get(user_code)

        def should_slow_down(self, credential: Any) -> bool:
            return False

    class DeviceEndpoint(DeviceAuthorizationEndpoint):  # type: ignore[misc]
        CLIENT_AUTH_METHODS = METHODS

        @property
        def INTERVAL(self) -> int:  # the name is Authlib's
            return state.interval

        def get_verification_uri(self) -> str:
            return "https://login.example/device"

        def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
            state.devices[data["device_code"]] = DeviceCredentialDict(
                client_id=client_id, scope=scope, expires_at=time.time() + data["expires_in"], **data
            )

    class ServiceAccount(JWTBearerGrant):  # type: ignore[misc]
        def resolve_issuer_client(self, issuer: str) -> Client | None:
            return state.clients.get(issuer)

        def resolve_client_public_key(self, client: Client) -> Any:
            return RSAKey.import_key(client.public_key)

        def get_audiences(self) -> list[str]:
            # google-auth names Google's endpoint, whatever `token_uri` says
            return [request.base_url, "https://oauth2.googleapis.com/token"]

        def authenticate_user(self, subject: str) -> str:
            return subject

        def has_granted_permission(self, client: Client, user: str) -> bool:
            return client.mailbox == user

    class Introspection(IntrospectionEndpoint):  # type: ignore[misc]
        CLIENT_AUTH_METHODS = METHODS

        def query_token(self, token: str, hint: str | None) -> Issued | None:
            return next((each for each in state.issued if each.value == token), None)

        def check_permission(self, token: Issued, client: Client, req: Any) -> bool:
            return client.id == INTROSPECTION[0]

        def introspect_token(self, token: Issued) -> dict[str, object]:
            return {
                "active": True,
                "username": token.mailbox,
                "client_id": token.client.id,
                "exp": int(token.expires_at),
            }

    server.register_grant(ClientCredentials)
    server.register_grant(Refresh)
    server.register_grant(Code, [CodeChallenge(required=True)])
    server.register_grant(Device)
    server.register_grant(ServiceAccount)
    server.register_endpoint(DeviceEndpoint)
    server.register_endpoint(Introspection)
