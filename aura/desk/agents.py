"""The people of the service desk, from a file: who can do what, and how much."""

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


class StaffFailed(InvalidInput):
    """The file of agents cannot be read; the text names the line and what is wrong."""


class AgentRow(BaseModel):
    """One line of the file; skills are categories, separated by semicolons."""

    name: str
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)
    team: str = ""
    skills: Annotated[
        list[str], BeforeValidator(lambda value: [s.strip() for s in str(value).split(";") if s.strip()])
    ] = []
    capacity: int = Field(10, ge=0, le=100_000)
    available: bool = True


def import_staff(path: Path) -> int:
    """Add or change agents by name, all or none. Returns how many. Raises StaffFailed."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [
                (reader.line_num, AgentRow.model_validate({k: v for k, v in row.items() if k and v})) for row in reader
            ]
    except ValidationError as error:
        raise StaffFailed(f"{path}: line {reader.line_num}: {explain(error)}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StaffFailed(f"{path}: {error}") from None
    with transaction() as session:
        for _, row in rows:
            values = row.model_dump()
            statement = upsert(session, Agent).values(values)
            session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
    return len(rows)
