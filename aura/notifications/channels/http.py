"""What the channels have in common whose recipient is an endpoint: a POST, and what its answer means.

| answer | means |
| 2xx | it is there |
| 429, 503 with Retry-After | later, as it says: the whole channel where one provider is behind it, else this endpoint |
| 408, 409, 425, 429, 5xx, nobody answers | another try may help |
| 502, 504, no answer to a request that had left | the same, and nobody knows whether it was taken |
| 3xx, other 4xx | another try cannot help: the URL is wrong, gone, or leads elsewhere |
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from urllib.parse import unquote

from aura import retry_after
from aura.notifications.channels import CONSOLE, ChannelError, OutboundMessage
from aura.notifications.channels.console import ConsoleChannel
from aura.notifications.safe_http import Answer, ForbiddenAddress, RequestFailed, post
from aura.notifications.sanitize import one_line

#: Answers below 500 after which another try may help.
_LATER = (408, 409, 425, 429)
#: A gateway says so when it had passed the request on.
_GATEWAY = (502, 504)


class EndpointChannel:
    """A channel that posts JSON to an endpoint's URL; `inside` are the hosts of our own network that it may reach."""

    name = ""
    #: Whether all endpoints lead to one provider, whose Retry-After holds for every message of the channel.
    one_provider = False

    def __init__(self, inside: Collection[str] = ()) -> None:
        self._inside = inside

    def send(self, notice: OutboundMessage) -> str:
        """Post one notice and return its id. Raises ChannelError, which repeats nothing of the URL but its host."""
        if notice.url == CONSOLE:
            return ConsoleChannel().send(notice)
        body = json.dumps(self.body(notice), separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "Aura"} | self.headers(notice, body)
        try:
            answer = post(notice.url, body, headers, inside=self._inside)
        except ForbiddenAddress as error:
            raise ChannelError(f"endpoint {notice.recipient}: {error}", permanent=True) from None
        except RequestFailed as error:
            raise ChannelError(f"endpoint {notice.recipient}: {error}", unsure=error.unsure) from None
        if not 200 <= answer.status < 300:
            raise self._explain(notice, answer)
        return notice.id

    def body(self, notice: OutboundMessage) -> Mapping[str, object]:
        """Return what is posted."""
        raise NotImplementedError

    def headers(self, notice: OutboundMessage, body: bytes) -> dict[str, str]:
        """Return the headers besides those of every POST."""
        return {}

    def _explain(self, notice: OutboundMessage, answer: Answer) -> ChannelError:
        said, status = _quotable(answer.body, notice.url), answer.status
        return ChannelError(
            f"endpoint {notice.recipient} answered {status}" + (f": {said}" if said else ""),
            permanent=status < 500 and status not in _LATER,
            retry_after=retry_after.seconds(answer.headers) if status in (429, 503) else None,
            unsure=status in _GATEWAY,
            pauses_queue=self.one_provider,
        )


def _quotable(body: bytes, url: str) -> str:
    """Return the beginning of an answer, or nothing when it repeats a part of the URL, as pages for errors like to do."""
    said = one_line(body[:2000].decode("utf-8", "replace"), 200)
    parts = [part for part in re.split(r"[/?&=#]+", url.partition("://")[2])[1:] if len(part) > 3]
    # a part that was cut off at the end counts too
    return "" if any(each[:8] in said for part in parts for each in (part, unquote(part))) else said
