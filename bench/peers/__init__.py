"""The contenders' programs: each is what a user of that library would write for the same pipeline.

A module has `send(ids)`, which sends stored tickets on their way, and what its worker command loads.
"""
