"""Options that several commands have in common."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from aura.cli.output import Format


def seconds_of(text: str) -> float:
    """Return the seconds that 90s, 10m, 2h or 1d mean."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip().lower())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no time: write it as 90s, 10m, 2h or 1d")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]


def moment_of(text: str) -> datetime:
    """Return the moment that 14:00 (the last one, in AURA_TIMEZONE), 2026-11-26T14:00 or 2h (ago) means."""
    from aura.settings import get_settings

    clock = datetime.now(ZoneInfo(get_settings().timezone))
    if re.fullmatch(r"\d{1,2}:\d{2}", text):
        day = clock if f"{text:0>5}" <= f"{clock:%H:%M}" else clock - timedelta(days=1)
        text = f"{day:%Y-%m-%d}T{text:0>5}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return clock - timedelta(seconds=seconds_of(text))
        except typer.BadParameter:
            raise typer.BadParameter(f"{text!r} is no moment: write it as 14:00, 2026-11-26T14:00 or 2h") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=clock.tzinfo)


FormatOption = Annotated[Format, typer.Option("--format", help="table for people, json for programs.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Most rows.")]
ActorOption = Annotated[str | None, typer.Option("--actor", help="Only jobs of this actor, such as classify.")]
AlikeOption = Annotated[str | None, typer.Option("--fingerprint", help="All alike, from `aura dead groups`.")]
ReasonOption = Annotated[str, typer.Option("--reason", prompt="Why", help="Kept for those who ask later.")]
SinceOption = Annotated[
    datetime | None,
    typer.Option("--since", parser=moment_of, metavar="TIME", help="Since 14:00, 2026-11-26T14:00, or 2h ago."),
]
