"""The faults: each breaks one thing, leaves it broken for a moment where that makes sense, and repairs it."""

from tests.chaos.faults import databases, network, processes, servers
from tests.chaos.faults.registry import FAULTS

__all__ = ["FAULTS", "databases", "network", "processes", "servers"]
