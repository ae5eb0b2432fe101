"""Base class of the channels that post JSON to an endpoint's URL, and the meaning of the answers.

| answer | meaning |
| 2xx | sent |
| 429, 503 with Retry-After | retried then; where all endpoints lead to one provider, the whole channel pauses |
| 408, 409, 425, 429, 5xx, no answer | retried |
| 502, 504, no answer to a request that was sent completely | retried, or in doubt on an at-most-once channel |
| 3xx, other 4xx | permanent: the URL is wrong, gone, or redirects |
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from urllib.parse import unquote

from aura import retry_after
from aura.notifications.channels.base import CONSOLE_URL, ChannelError, OutboundMessage
from aura.notifications.channels.console import ConsoleChannel
from aura.notifications.safe_http import Answer, ForbiddenAddress, RequestFailed, post
from aura.notifications.sanitize import one_line

#: Statuses below 500 that are retried.
RETRIED_STATUSES = (408, 409, 425, 429)
#: Statuses of a gateway that may have forwarded the request.
GATEWAY_STATUSES = (502, 504)


class EndpointChannel:
    """A channel that posts JSON to an endpoint's URL; `internal_hosts` are the allowed hosts of the private network."""

    name = ""
    #: Whether all endpoints lead to one provider, whose Retry-After holds for every message of the channel.
    one_provider = False

    def __init__(self, internal_hosts: Collection[str] = ()) -> None:
        self._internal_hosts = internal_hosts

    def send(self, message: OutboundMessage) -> str:
        """Post one message and return its id. Raises ChannelError, which names the host of the URL at most."""
        if message.url == CONSOLE_URL:
            return ConsoleChannel().send(message)
        body = json.dumps(self.body(message), separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "Aura"} | self.headers(message, body)
        try:
            answer = post(message.url, body, headers, internal_hosts=self._internal_hosts)
        except ForbiddenAddress as error:
            raise ChannelError(f"endpoint {message.recipient}: {error}", permanent=True) from None
        except RequestFailed as error:
            raise ChannelError(f"endpoint {message.recipient}: {error}", in_doubt=error.in_doubt) from None
        if not 200 <= answer.status < 300:
            raise self._error(message, answer)
        return message.id

    def body(self, message: OutboundMessage) -> Mapping[str, object]:
        """Return the JSON document to post."""
        raise NotImplementedError

    def headers(self, message: OutboundMessage, body: bytes) -> dict[str, str]:
        """Return the additional headers."""
        return {}

    def _error(self, message: OutboundMessage, answer: Answer) -> ChannelError:
        quote, status = _quote(answer.body, message.url), answer.status
        error = ChannelError(
            f"endpoint {message.recipient} answered {status}" + (f": {quote}" if quote else ""),
            permanent=status < 500 and status not in RETRIED_STATUSES,
            retry_after=retry_after.seconds(answer.headers) if status in (429, 503) else None,
            in_doubt=status in GATEWAY_STATUSES,
            pauses_queue=self.one_provider,
        )
        error.quoted = quote
        return error


def _quote(body: bytes, url: str) -> str:
    """Return the beginning of an answer; nothing when it repeats a part of the URL, which is secret."""
    quote = one_line(body[:2000].decode("utf-8", "replace"), 200)
    parts = [part for part in re.split(r"[/?&=#]+", url.partition("://")[2])[1:] if len(part) > 3]
    # eight characters, because the quote may end within a part
    secret = any(each[:8] in quote for part in parts for each in (part, unquote(part)))
    return "" if secret else quote
