"""Benchmarks against peers: the same work, in one run, alternating, as ratios. Never part of the tests."""
