"""Options that several commands have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from aura.output import Format

FormatOption = Annotated[Format, typer.Option("--format", help="table for people, json for programs.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Most rows.")]
ActorOption = Annotated[str | None, typer.Option("--actor", help="Only jobs of this actor, such as classify.")]
AlikeOption = Annotated[str | None, typer.Option("--fingerprint", help="All alike, from `aura dead groups`.")]
ReasonOption = Annotated[str, typer.Option("--reason", prompt="Why", help="Kept for those who ask later.")]
