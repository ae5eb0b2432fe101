"""What the commands about local models share: which model is meant, labelled files, and a progress bar."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aura.cli.database import reads
from aura.cli.output import Refused, err, note

if TYPE_CHECKING:
    from aura.ai.engines.model import Model
    from aura.ai.training.datasets import Dataset


def model_in_use(session: Any) -> Model:
    from aura.ai.engines.model import load, read_model
    from db import local_models

    active = local_models.active(session)
    return read_model(gzip.decompress(active[1])) if active and active[1] else load()


def model_of(name: str | None) -> Model:
    """Return the model of a version or a file; none: the one in use."""
    from aura.ai.engines.model import InvalidModel, load, read_model
    from db.local_models import SHIPPED

    if name == SHIPPED:
        return load()
    if name is not None and (name.endswith(".json") or Path(name).is_file()):
        try:
            return read_model(Path(name).read_bytes())
        except InvalidModel as error:
            raise Refused(f"{name}: {error}") from None
    with reads() as session:
        from db import local_models

        if name is None:
            return model_in_use(session)
        body = local_models.body(session, name)
    if body is None:
        raise Refused(f"there is no local model {name!r}; `aura models list` shows those there are")
    return read_model(gzip.decompress(body))


def read_file(file: Path, columns: dict[str, str | None], limit: int | None, what: str) -> Dataset:
    from aura.ai.training.datasets import UnusableFile, read_dataset
    from db.new_tickets import parse_priority

    named = {name: column for name, column in columns.items() if column is not None}
    try:
        with bar(what, file.stat().st_size) as told:
            found = read_dataset(file, named, parse_priority, limit=limit, progress=lambda done: told(done, what))
    except UnusableFile as error:
        raise Refused(str(error)) from None
    for line, reason in found.bad:
        err.print(f"{file}:{line}: {reason}", style="yellow", markup=False, soft_wrap=True)
    if found.rejected > len(found.bad):
        note(f"... and more bad rows, {found.rejected} in all")
    return found


@contextmanager
def bar(what: str, total: float) -> Iterator[Callable[[float, str], None]]:
    """Show a progress bar on a terminal; what is yielded tells how far it is, and with what."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<11}"), BarColumn(40), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done, now: shown.update(task, completed=done, description=now)
