"""Import of agents from a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from aura.errors import InvalidInput
from aura.settings import explain
from db import transaction
from db.models import Agent
from db.statements import upsert


class InvalidAgentFile(InvalidInput):
    """The file cannot be imported; the message names the line and the error."""


class AgentRow(BaseModel):
    """One row of the file; skills are categories, separated by semicolons."""

    name: str
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)
    team: str = ""
    skills: Annotated[
        list[str], BeforeValidator(lambda value: [s.strip() for s in str(value).split(";") if s.strip()])
    ] = []
    capacity: int = Field(10, ge=0, le=100_000)
    available: bool = True


def import_agents(path: Path) -> int:
    """Add agents, or change those of the same name, all or none. Returns the number of rows. Raises InvalidAgentFile."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [AgentRow.model_validate({k: v for k, v in row.items() if k and v}) for row in reader]
    except ValidationError as error:
        raise InvalidAgentFile(f"{path}: line {reader.line_num}: {explain(error)}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidAgentFile(f"{path}: {error}") from None
    with transaction() as session:
        for row in rows:
            values = row.model_dump()
            statement = upsert(session, Agent).values(values)
            session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
    return len(rows)
