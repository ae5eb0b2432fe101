"""Stopping: a second SIGTERM does not end a worker in the middle of its work.

systemd, Heroku and honcho send SIGTERM to every process, and Dramatiq's first process passes its own on to the others: they
get it twice, which Dramatiq takes for impatience. The shutdown timeout and SIGKILL are there for that.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from dramatiq import Broker, Middleware


class Shutdown(Middleware):
    """Passes SIGTERM on to Dramatiq once, in the processes that `dramatiq` started."""

    def after_process_boot(self, broker: Broker) -> None:
        stop: Any = signal.getsignal(signal.SIGTERM)
        if getattr(stop, "__module__", "") != "dramatiq.cli":
            return
        told = False

        def once(number: int, frame: FrameType | None) -> None:
            nonlocal told
            if not told:
                told = True
                stop(number, frame)

        signal.signal(signal.SIGTERM, once)
