"""The HTTP session of all token requests: certificates of the system, no redirects, one kind of error for an outage.

msal, google-auth and Authlib take a session of requests. Each of them treats outages in its own way (msal repeats an answer
from its cache for a minute, and reports an outage of the discovery as a wrong tenant), so the session raises them itself.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from aura import retry_after
from aura.oauth.errors import TokenRefused, TokenServerUnavailable
from aura.tls import https_context

#: Seconds of each wait on the socket.
TIMEOUT = 10.0
#: Answers that say nothing about the request: a timeout, too early, too many requests.
_TEMPORARY = (408, 425, 429)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _SystemCertificates(HTTPAdapter):
    """Trusts the authorities that SSL_CERT_FILE or the system names, like the connections to mail servers."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=https_context(), **options)

    def cert_verify(self, conn: Any, *_: Any) -> None:
        # requests would add the authorities of certifi to the context, at each connection
        conn.cert_reqs = "CERT_REQUIRED"


class TokenRequests(requests.Session):
    """A session for requests to a token server."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.mount("https://", _SystemCertificates())

    def request(self, method: str, url: Any, *arguments: Any, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send a request. Raises TokenServerUnavailable, and TokenRefused for an answer that cannot come from a token server."""
        host = check_url(str(url))
        options |= {"timeout": TIMEOUT, "allow_redirects": False}
        try:
            response = super().request(method, url, *arguments, **options)
        except requests.exceptions.SSLError:
            raise TokenRefused(
                f"the certificate of the token server {host} is not trusted; SSL_CERT_FILE names the authority of a private one"
            ) from None
        except requests.RequestException as error:
            # `from None` and without the message: the error holds the request, with the secrets
            raise TokenServerUnavailable(f"the token server {host} does not answer: {type(error).__name__}") from None
        if response.status_code >= 500 or response.status_code in _TEMPORARY:
            raise TokenServerUnavailable(
                f"the token server {host} answers {response.status_code}",
                retry_after=retry_after.seconds(response.headers),
            )
        if response.is_redirect or not response.content.lstrip().startswith(b"{"):
            raise TokenRefused(
                f"{host} answers {response.status_code} and no JSON object: it is no token server, or a proxy answers"
            )
        return response


def check_url(url: str) -> str:
    """Return host and port of a URL. Raises TokenRefused unless it is https, or http on the loopback interface."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise TokenRefused(f"the URL of the token server {parts.hostname} must start with https://")
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
