"""Validation of new tickets from every source, and of the JSON and text in them."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from db.clients import SEPARATOR
from db.text import DEPTH_LIMIT as DEPTH_LIMIT
from db.text import normalized_requester
from db.text import parse_json as parse_json
from db.text import storable as storable

#: Characters of the longest description and title; a longer one is a validation error.
DESCRIPTION_LIMIT = 200_000
TITLE_LIMIT = 2_000

#: "Ada Lovelace <ada@example.com>".
_MAILBOX = re.compile(r'"?([^"<>@]*?)"? *<([^\s@<>]+@[^\s@<>]+)>')

#: Names of the priorities in other service desks, in English and German.
PRIORITY_NAMES = {
    "critical": ("critical", "kritisch", "urgent", "p1", "1", "highest", "blocker"),
    "high": ("high", "hoch", "dringend", "p2", "2", "important"),
    "medium": ("medium", "mittel", "normal", "p3", "3", "moderate"),
    "low": ("low", "niedrig", "gering", "p4", "4", "minor"),
}


class NewTicket(BaseModel):
    """A new ticket from HTTP, a message, a file or the command line; `raw` keeps fields that it does not know."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True, hide_input_in_errors=True)

    title: str = Field("", max_length=TITLE_LIMIT, examples=["VPN drops every ten minutes"])
    description: str = Field(
        "", max_length=DESCRIPTION_LIMIT, examples=["Since this morning, from home, on Wi-Fi and cable."]
    )
    requester: str = Field(
        "", max_length=254, description="Address, user name or `Name <address>`.", examples=["ada@example.com"]
    )
    requester_name: str = Field(
        "", max_length=200, description="Display name of the requester.", examples=["Ada Lovelace"]
    )
    department: str = Field("", max_length=200, examples=["Finance"])
    priority: Literal["low", "medium", "high", "critical"] | None = Field(
        None, description="The priority as the requester states it."
    )
    external_id: str | None = Field(
        None,
        max_length=200,
        description="Id in the calling system: a repeated id of the same client creates no second ticket.",
    )

    @field_validator("title", "description", "requester", "requester_name", "department", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return storable(value) if isinstance(value, str) else "" if value is None else value

    @field_validator("requester")
    @classmethod
    def _same_address(cls, value: str) -> str:
        return normalized_requester(value)

    @field_validator("external_id", mode="before")
    @classmethod
    def _identifier(cls, value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and SEPARATOR in value:
            raise ValueError("must not contain the control character U+001F")
        return storable(value).strip() or None if isinstance(value, str) else value

    @field_validator("priority", mode="before")
    @classmethod
    def _claim(cls, value: object) -> object:
        return parse_priority(value) or value or None

    @model_validator(mode="after")
    def _not_empty(self) -> NewTicket:
        if not self.title and not self.description:
            raise ValueError("a ticket needs a title or a description")
        if "<" in self.requester and (named := _MAILBOX.fullmatch(self.requester)):
            # the address alone, as in mails and imports: filters and notifications compare it
            self.requester, self.requester_name = named[2], self.requester_name or named[1][:200]
        return self


def parse_priority(value: object) -> str | None:
    """Return the priority for a name such as "URGENT!!!", "hoch" or "P2"; None for an unknown name."""
    word = re.sub(r"[^a-z0-9]", "", str(value).lower())
    return next((priority for priority, names in PRIORITY_NAMES.items() if word in names), None)
