"""Ticket list: pages in the order of the priorities."""

from __future__ import annotations

from itertools import pairwise

import pytest

from aura.settings import PRIORITIES
from db import reading, ticket_list, transaction


@pytest.mark.parametrize("sort", ["priority", "-priority"])
def test_pages_by_priority_hold_each_ticket_once_in_order(sort: ticket_list.Sort, database: str) -> None:
    priorities = [None, "high", "low", None, "critical", "low", "medium"]
    with transaction() as session:
        session.add_all([ticket_list.Ticket(source="http", raw="{}", title="t", priority=each) for each in priorities])
    found: list[ticket_list.Ticket] = []
    cursor = None
    with reading() as session:
        while True:
            page = ticket_list.page(session, {}, sort=sort, cursor=cursor, limit=2)
            found += page.tickets
            if (cursor := page.next) is None:
                break
    keys = [(-1 if each.priority is None else PRIORITIES.index(each.priority), each.id) for each in found]
    assert len(keys) == len(priorities)
    assert all(one < other if sort == "priority" else one > other for one, other in pairwise(keys))
