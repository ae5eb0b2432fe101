"""WORKER_MODULES: names the modules of a worker command to its relay, the one with the broker first.

A command that calls Dramatiq's own, as `aura worker` does, sets it: its command line has other arguments than `dramatiq`.
"""

MODULES_VARIABLE = "WORKER_MODULES"
