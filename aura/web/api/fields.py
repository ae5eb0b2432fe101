"""Field types of the API: texts, names, times, ids and limits, with their bounds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from db.ids import MAX_ID
from db.text import storable


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time that exists in UTC") from None


#: A text, without the characters that PostgreSQL cannot store.
Text = Annotated[str, AfterValidator(storable)]
Name = Annotated[Text, Field(max_length=254)]
#: A query parameter that filters by an equal value.
Filter = Annotated[Text | None, Query(min_length=1, max_length=254)]
#: The same for a parameter that may be repeated: rows have one of the values.
Filters = Annotated[
    list[Annotated[Text, Field(min_length=1, max_length=254)]] | None,
    Query(max_length=50, description="May be repeated."),
]
Reason = Annotated[Text, Field(min_length=1, max_length=2000, examples=["the mail server moves"])]
Time = Annotated[AwareDatetime, AfterValidator(_utc)]
#: The id in a path.
Id = Annotated[int, Path(ge=1, le=MAX_ID)]
Limit = Annotated[int, Query(ge=1, le=200, description="Most rows.")]


class Body(BaseModel):
    """A JSON body. An unknown field is an error, since it may be a misspelt one."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class WithReason(Body):
    """A body with the reason of the action, which the audit log shows."""

    reason: Reason
