"""The faults: each breaks one thing, leaves it broken for a moment where that makes sense, and repairs it."""

from tests.chaos.faults import clocks, network, processes, servers
from tests.chaos.faults.registry import FAULTS

__all__ = ["FAULTS", "clocks", "network", "processes", "servers"]
