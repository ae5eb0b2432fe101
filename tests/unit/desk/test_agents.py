"""Import of agents."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura.desk.agents import InvalidAgentFile, import_agents
from db import reading

pytestmark = pytest.mark.usefixtures("database")


def test_agents_are_added_or_changed_all_or_none(tmp_path: Path):
    from db.process_stats import agents

    path = tmp_path / "agents.csv"
    path.write_text("name,email,team,skills,capacity,available\nNora,nora@example.com,Net,Network; Access,3,yes\n")
    assert import_agents(path) == 1
    path.write_text("name,email,skills\nNora,nora@example.org,Email\nOtto,otto@example.com,\n")
    assert import_agents(path) == 2
    with reading() as session:
        rows = {row["name"]: row for row in agents(session)}
    assert (rows["Nora"]["email"], rows["Nora"]["skills"]) == ("nora@example.org", ["Email"])

    path.write_text("name,email,skills,capacity\nMax,max@example.com,Email,1\nEva,eva@example.com,Email,many\n")
    with pytest.raises(InvalidAgentFile, match="line 3: capacity"):
        import_agents(path)
    with reading() as session:
        assert len(agents(session)) == 2
