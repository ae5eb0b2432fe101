"""Chaos: tickets go in, everything fails, and at the end an oracle counts.

    python -m tests.chaos --seed 7 --tickets 500 --seconds 30

One run, in the manner of Jepsen: the `driver` posts tickets and remembers every answer, the `schedule` that a seed gives
makes `faults` happen to the `system` meanwhile, the `external_services` count what arrives, and the `oracle` compares.
"""
