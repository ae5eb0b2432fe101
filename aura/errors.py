"""The exceptions of Aura, in one tree.

    AuraError
      NotFound (LookupError)          no such ticket, job, dead letter ...               HTTP 404   exit code 1
      InvalidInput (ValueError)       a value, a file or a message cannot be used        HTTP 422   exit code 1
      Forbidden                       the caller may not do this                         HTTP 403   exit code 1
      Conflict                        the current state does not allow it                HTTP 409   exit code 1
      TooManyRequests                 a rate limit; ``retry_after``                      HTTP 429   exit code 1
      Unavailable                     a service does not answer; ``retry_after``         HTTP 503   exit code 1
        Overloaded                    more requests than can be served                   HTTP 503   exit code 1
      ConfigurationError              a setting or an installation is wrong              HTTP 500   exit code 2
      JobError                        an attempt at a job failed; see its attributes     never leaves a worker

`aura.web.problems` turns a class into a status and `aura.cli` into an exit code, in one place each; a class that a package
adds derives from one of these and needs no handler of its own. The message addresses the reader of the interface that shows
it: packages below `aura.web` and `aura.cli` name values, never routes or commands.
"""

from __future__ import annotations


class AuraError(Exception):
    """Base class of all exceptions that Aura raises on purpose.

    ``retry_after``: seconds after which the same request makes sense again; None when a repetition changes nothing.
    ``quoted``: part of the message that another server wrote, which logs leave out: it may repeat what was sent to it.
    """

    retry_after: float | None = None
    quoted: str = ""


class NotFound(AuraError, LookupError):
    """The named thing does not exist."""

    # KeyError's quotes around the message are not wanted, and LookupError adds none
    __str__ = Exception.__str__


class InvalidInput(AuraError, ValueError):
    """A value, a file or a message cannot be used."""


class Forbidden(AuraError):
    """The caller is known and may not do this."""


class Conflict(AuraError):
    """The current state of the thing does not allow the action."""


class _RetryLater(AuraError):
    """Takes ``retry_after`` as an argument."""

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyRequests(_RetryLater):
    """A rate limit of the caller is used up."""


class Unavailable(_RetryLater):
    """A service that Aura needs does not answer."""


class Overloaded(Unavailable):
    """More requests arrive than can be served; nothing of this one was accepted."""


class ConfigurationError(AuraError):
    """A setting, a file of the installation or an optional package is wrong or missing."""


class JobError(AuraError):
    """An attempt at a job failed.

    ``permanent``: a further attempt makes no sense, the job becomes a dead letter.
    ``retry_after``: seconds until the next attempt, as the other side asked; None uses the backoff.
    ``pauses_queue``: ``retry_after`` holds for every job of the queue, not for this one alone.
    ``counts_attempt``: the attempt counts towards the limit of attempts.
    """

    permanent: bool = False
    retry_after: float | None = None
    pauses_queue: bool = True
    counts_attempt: bool = True

    def __init__(
        self,
        message: str = "",
        *,
        permanent: bool | None = None,
        retry_after: float | None = None,
        pauses_queue: bool | None = None,
        counts_attempt: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        for name, value in (
            ("permanent", permanent),
            ("pauses_queue", pauses_queue),
            ("counts_attempt", counts_attempt),
        ):
            if value is not None:
                setattr(self, name, value)
