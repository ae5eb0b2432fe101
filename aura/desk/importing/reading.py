"""Reading of an import file: recognises the export, finds the columns and the order of dates, and yields tickets."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

from aura.desk.csv_cells import is_export, restore_cell
from aura.desk.importing.csv_rows import read_table
from aura.desk.importing.dates import DateReader, Order, find_order, zone_named
from aura.desk.importing.files import CHUNK, Format, ImportFile
from aura.desk.importing.json_rows import find_list, flatten, read_json, read_json_lines
from aura.desk.importing.json_scanner import Path
from aura.desk.importing.lines import read_lines
from aura.desk.importing.people import People, read_people, with_people
from aura.desk.importing.presets import (
    Preset,
    column_of_field,
    count_known,
    later_columns,
    listed,
    preset_named,
    recognise,
)
from aura.desk.importing.report import FileSummary, ImportedTicket, ImportReport, InvalidImportFile, Log
from aura.desk.importing.tickets import DATE_FIELDS, TicketReader
from aura.settings import get_settings

#: Objects of a JSON file by whose keys the export is recognised, and rows whose dates may show that no order is needed.
SAMPLE, DATE_SAMPLE = 20, 200
_TOTAL = re.compile(
    r"(grand )?(total|totals|sum|summe|gesamt\w*|anzahl|count|totaal|totale|suma|somme|nombre|razem)\b", re.IGNORECASE
)
#: "Total tickets: 17".
_COUNTED = re.compile(r"(?:grand )?(?:total|summe|gesamt|anzahl)\b[^\d]{0,30}\d+", re.IGNORECASE)
ORDERS: tuple[Order, ...] = ("dmy", "mdy", "ymd")


#: Rows of a file unless the options name another number.
ROW_LIMIT = 250_000


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Choices for one import; empty ones are made by the content of the file."""

    #: Columns of the file by field.
    columns: Mapping[str, str] = field(default_factory=dict)
    #: The help desk of the export; `general` switches recognition off.
    preset: str = ""
    #: The system that the ids belong to; default is the preset.
    source: str = ""
    #: Our status by the `words` of a status of the file.
    statuses: Mapping[str, str] = field(default_factory=dict)
    format: Format | None = None
    encoding: str = ""
    delimiter: str = ""
    #: dmy, mdy, ymd or a format of strptime.
    date_format: str = ""
    #: Time zone of dates without an offset; default is AURA_TIMEZONE.
    zone: str = ""
    #: Whether requesters and channels are notified of open tickets; None decides by their age and origin.
    notify: bool | None = None
    #: Rows after which the import ends with an error: a small compressed file can hold any number.
    limit: int = ROW_LIMIT


#: Line, row as it is stored, value by field.
Row = tuple[int, dict[str, Any], dict[str, Any]]


@dataclass(slots=True)
class _Layout:
    """How the rows of a file are laid out."""

    preset: Preset
    columns: dict[str, str]
    names: list[str]
    path: Path | None = ()
    delimiter: str = ""
    people: People = field(default_factory=dict)


@contextmanager
def open_tickets(
    file: ImportFile, options: ImportOptions, report: ImportReport
) -> Iterator[tuple[Iterator[ImportedTicket], IO[bytes]]]:
    """Yield the tickets of a file and the raw file for its position. Raises InvalidImportFile.

    Rejected rows and warnings go to the report, and `report.file` says how the file is read.
    """
    with _named(file):
        layout = _layout(file, options)
        dates = _dates(file, options, layout)
        report.file = _summary(file, layout, dates)
        reader = TicketReader(layout.preset, dates, report, get_settings().categories, options.statuses)
        with file.open() as (content, raw):
            rows = _rows(file, content, layout, options, report.reject, report.warn)
            yield (ticket for row in rows if (ticket := reader.read(*row)) is not None), raw


@contextmanager
def _named(file: ImportFile) -> Iterator[None]:
    """Put the name of the file before each error."""
    try:
        yield
    except InvalidImportFile as error:
        if str(error).startswith(file.name):
            raise
        raise InvalidImportFile(f"{file.name}: {error}") from None


def _layout(file: ImportFile, options: ImportOptions) -> _Layout:
    path: Path | None = ()
    people: People = {}
    if file.format == "csv":
        with file.open() as (content, _):
            table = _table(file, content, options, _ignore, _ignore)
        names, delimiter = table.header, table.delimiter
    else:
        if file.format == "json":
            with file.open() as (content, _):
                path = find_list(_chunks(content, file.codec, _ignore), lambda keys: count_known(keys) > 1)
            with file.open() as (content, _):
                people = read_people(_chunks(content, file.codec, _ignore), path)
        with file.open() as (content, _):
            objects = islice(_objects(file, content, path, _ignore, _ignore), SAMPLE)
            keys = dict.fromkeys(key for each in objects for key in flatten(with_people(each.value, people)))
        names, delimiter = list(keys), ""
    preset = preset_named(options.preset) if options.preset else recognise(names)
    columns = column_of_field(names, preset, options.columns)
    if not {"title", "description"} & set(columns) and (names or file.format == "csv"):
        raise InvalidImportFile(
            f"no column for title or description among {listed(names)}; map one of them to title or description"
        )
    return _Layout(preset, columns, names, path, delimiter, people)


def _rows(
    file: ImportFile, content: IO[bytes], layout: _Layout, options: ImportOptions, reject: Log, warn: Log
) -> Iterator[Row]:
    if file.format == "csv":
        header = layout.names
        own = is_export(header)
        at = {name: header.index(column) for name, column in layout.columns.items()}
        later = later_columns(header, layout.preset, layout.columns)
        for line, cells in _table(file, content, options, reject, warn).rows:
            if own:
                cells = [restore_cell(cell) for cell in cells]
            cells += [""] * (len(header) - len(cells))
            row, values = dict(zip(header, cells, strict=False)), {name: cells[place] for name, place in at.items()}
            if _is_total(cells, values):
                warn(line, f"{next(filter(str.strip, cells)).strip()!r} is a total, not a ticket: the row is left out")
                continue
            yield line, row, _filled(values, row, later)
        return
    columns_of: dict[tuple[str, ...], dict[str, str]] = {}
    for line, value in _objects(file, content, layout.path, reject, warn):
        flat = flatten(with_people(value, layout.people))
        keys = tuple(flat)
        if keys not in columns_of:
            if len(columns_of) > SAMPLE:
                columns_of.clear()
            given = {name: column for name, column in options.columns.items() if column in flat}
            columns_of[keys] = column_of_field(keys, layout.preset, given)
        later = later_columns(keys, layout.preset, columns_of[keys]) if not all(flat.values()) else {}
        yield line, value, _filled({name: flat[column] for name, column in columns_of[keys].items()}, flat, later)


def _filled(values: dict[str, Any], row: Mapping[str, Any], later: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the values; an empty one is taken from the later columns of its field."""
    for name, columns in later.items():
        if not values[name]:
            values[name] = next((row[each] for each in columns if row[each]), values[name])
    return values


def _is_total(cells: list[str], values: Mapping[str, Any]) -> bool:
    """Return whether a row of a spreadsheet is a sum: its first cell says so, and it has no title and no description."""
    if sum(map(bool, map(str.strip, cells))) == 1 and any(_COUNTED.fullmatch(cell.strip()[:60]) for cell in cells):
        return True
    if str(values.get("title", "")).strip() or str(values.get("description", "")).strip():
        return False
    first = next((cell for cell in cells if cell.strip()), "")
    return bool(_TOTAL.match(first.strip()[:60]))


def _table(file: ImportFile, content: IO[bytes], options: ImportOptions, reject: Log, warn: Log) -> Any:
    lines = read_lines(content, file.codec, warn)
    return read_table(lines, delimiter=options.delimiter or None, count_known=count_known, reject=reject, warn=warn)


def _objects(file: ImportFile, content: IO[bytes], path: Path | None, reject: Log, warn: Log) -> Iterator[Any]:
    if file.format == "jsonl":
        return read_json_lines(read_lines(content, file.codec, warn), reject)
    return read_json(_chunks(content, file.codec, warn), path, reject, warn)


def _chunks(content: IO[bytes], codec: str, warn: Log) -> Iterator[str]:
    """Yield the text of a JSON file, which may be one long line."""
    decoder = codecs.getincrementaldecoder(codec)("replace")
    line = 1
    while True:
        chunk = content.read(CHUNK)
        text = decoder.decode(chunk, final=not chunk)
        at = text.find("\N{REPLACEMENT CHARACTER}")
        if at >= 0:
            count = text.count("\N{REPLACEMENT CHARACTER}")
            warn(line + text.count("\n", 0, at), f"{count} characters from here on cannot be read as {codec}")
        line += text.count("\n")
        yield text.removeprefix("\ufeff")
        if not chunk:
            return


# -- dates ------------------------------------------------------------------------------------------------------------


def _dates(file: ImportFile, options: ImportOptions, layout: _Layout) -> DateReader:
    zone = zone_named(options.zone or get_settings().timezone)
    if options.date_format:
        order = next((each for each in ORDERS if each == options.date_format.lower()), None)
        if order is None and "%" not in options.date_format:
            raise InvalidImportFile(
                f"--date-format {options.date_format}: use {', '.join(ORDERS)} or a format such as %d/%m/%Y %H:%M"
            )
        return DateReader(zone, order, "" if order else options.date_format)
    columns = [name for name in DATE_FIELDS if name in layout.columns]
    if not columns:
        return DateReader(zone)

    def texts(rows: Iterator[Row]) -> Iterator[tuple[str, str]]:
        for _, _, values in rows:
            yield from ((name, str(values[name]).strip()[:60]) for name in columns if values.get(name))

    with file.open() as (content, _):
        rows = _rows(file, content, layout, options, _ignore, _ignore)
        evidence, column = find_order(texts(islice(rows, DATE_SAMPLE)))
    if column:
        with file.open() as (content, _):
            evidence, column = find_order(texts(_rows(file, content, layout, options, _ignore, _ignore)))
    try:
        return DateReader(zone, evidence.result(layout.columns.get(column, column)))
    except InvalidImportFile as error:
        raise InvalidImportFile(f"{error} (--date-format dmy or mdy)") from None


def _summary(file: ImportFile, layout: _Layout, dates: DateReader) -> FileSummary:
    mapped = set(layout.columns.values())
    return FileSummary(
        format=file.format,
        encoding={"cp1252": "windows-1252"}.get(file.codec, file.codec),
        delimiter=layout.delimiter,
        preset=layout.preset.name if layout.preset.known else "",
        date_order=dates.format or dates.order or "",
        columns=layout.columns,
        others=[name for name in layout.names if name not in mapped],
    )


def _ignore(_line: int, _text: str) -> None:
    """Drop a message: an earlier pass over the file reports nothing."""
