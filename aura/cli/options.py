"""Options that several commands share."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from aura.cli.output import Format


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as 90s, 10m, 2h or 1d."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip().lower())
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a duration: use a form such as 90s, 10m, 2h or 1d")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]


def parse_moment(text: str) -> datetime:
    """Return the moment of 14:00 (the last one, in AURA_TIMEZONE), 2026-11-26T14:00 or 2h (ago)."""
    from aura.settings import get_settings

    now = datetime.now(ZoneInfo(get_settings().timezone))
    if re.fullmatch(r"\d{1,2}:\d{2}", text):
        day = now if f"{text:0>5}" <= f"{now:%H:%M}" else now - timedelta(days=1)
        text = f"{day:%Y-%m-%d}T{text:0>5}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return now - timedelta(seconds=parse_duration(text))
        except typer.BadParameter:
            raise typer.BadParameter(
                f"{text!r} is not a time: use a form such as 14:00, 2026-11-26T14:00 or 2h"
            ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


FormatOption = Annotated[Format, typer.Option("--format", help="Output format; json is for programs.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Maximum number of rows.")]
ActorOption = Annotated[str | None, typer.Option("--actor", help="Only jobs of this actor, such as classify.")]
FingerprintOption = Annotated[
    str | None, typer.Option("--fingerprint", help="Only dead letters of this group, from `aura dead-letters groups`.")
]
ReasonOption = Annotated[str, typer.Option("--reason", prompt="Reason", help="Stored with the action.")]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        parser=parse_moment,
        metavar="TIME",
        help="Only newer ones: 14:00, 2026-11-26T14:00, or 2h for the last two hours.",
    ),
]
