"""The faults: each breaks one thing, leaves it broken for a moment where that makes sense, and repairs it."""

from tests.chaos.faults import clocks, cluster, databases, network, processes, servers
from tests.chaos.faults.registry import FAULTS

__all__ = ["FAULTS", "clocks", "cluster", "databases", "network", "processes", "servers"]
