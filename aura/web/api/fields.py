"""What requests say, bounded before anything looks at it: texts, numbers, moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from db.ids import MAX_ID
from db.new_tickets import storable


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is no moment that there is in UTC") from None


#: A text that every database can store.
Text = Annotated[str, AfterValidator(storable)]
Name = Annotated[Text, Field(max_length=254)]
Word = Annotated[Text | None, Query(min_length=1, max_length=254)]
Reason = Annotated[Text, Field(min_length=1, max_length=2000, examples=["the mail server moves"])]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
#: The number of a row.
Number = Annotated[int, Path(ge=1, le=MAX_ID)]
#: Rows of one answer.
Most = Annotated[int, Query(ge=1, le=200, description="Most rows.")]


class Said(BaseModel):
    """A JSON body: a field that nobody knows is an error, for it may be a misspelt one."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Because(Said):
    """Why somebody does something."""

    reason: Reason
