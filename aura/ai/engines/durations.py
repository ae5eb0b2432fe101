"""How long a request for the remote engine may take; imported by programs that load no remote engine."""

from __future__ import annotations

from aura.settings import Settings

#: Seconds beyond AI_TIMEOUT after which a call is certainly over.
GRACE = 5.0
#: Seconds that a call waits at most for each rate limit; then the local engine answers.
LONGEST_WAIT = 10.0


def longest_request(settings: Settings) -> float:
    """Return the seconds of a request that waits for an equal one, then for both rate limits, and is then sent."""
    return settings.ai_timeout + GRACE + 2 * LONGEST_WAIT + settings.ai_timeout
