"""Helpers of the commands for local models: load a model, read a labelled file, show a progress bar."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aura.cli.database import reads
from aura.cli.output import err, note
from aura.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from aura.ai.engines.model import Model
    from aura.ai.training.datasets import Dataset


def active_model(session: Any) -> Model:
    from aura.ai.engines.model import load, read_model
    from db import local_models

    active = local_models.active(session)
    return read_model(gzip.decompress(active[1])) if active and active[1] else load()


def load_model(name: str | None) -> Model:
    """Return the model of a version, a file, or `shipped`; None is the active one. Raises NotFound, InvalidInput."""
    from aura.ai.engines.model import InvalidModel, load, read_model
    from db.local_models import SHIPPED

    if name == SHIPPED:
        return load()
    if name is not None and (name.endswith(".json") or Path(name).is_file()):
        try:
            return read_model(Path(name).read_bytes())
        except InvalidModel as error:
            raise InvalidInput(f"{name}: {error}") from None
    with reads() as session:
        from db import local_models

        if name is None:
            return active_model(session)
        body = local_models.body(session, name)
    if body is None:
        raise NotFound(f"there is no local model {name!r}")
    return read_model(gzip.decompress(body))


def read_labelled(file: Path, columns: dict[str, str | None], limit: int | None) -> Dataset:
    """Read a labelled CSV file. Bad rows are printed on stderr. Raises UnusableFile."""
    from aura.ai.training.datasets import read_dataset
    from db.new_tickets import parse_priority

    named = {name: column for name, column in columns.items() if column is not None}
    with progress_bar("reading", file.stat().st_size) as update:
        dataset = read_dataset(file, named, parse_priority, limit=limit, progress=lambda done: update(done, "reading"))
    print_bad_rows(file, dataset.bad, dataset.rejected)
    return dataset


def print_bad_rows(file: Path, bad: list[tuple[int, str]], total: int) -> None:
    """Print the reason of each bad row with its line; there may be more than have a reason."""
    for line, reason in bad:
        err.print(f"{file}:{line}: {reason}", style="yellow", markup=False, soft_wrap=True)
    if total > len(bad):
        note(f"... and {total - len(bad)} more bad rows")


@contextmanager
def progress_bar(description: str, total: float) -> Iterator[Callable[[float, str], None]]:
    """Show a progress bar on a terminal. Yields a function that sets the completed share and the description."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<11}"), BarColumn(40), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(description, total=total)
        yield lambda done, now: bar.update(task, completed=done, description=now)
