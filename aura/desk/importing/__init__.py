"""Import of tickets from exports of other help desks: CSV, JSON and JSON Lines files.

files     format, compression, encoding          csv_rows, json_rows   rows of the file
presets   columns and values of each help desk    tickets               rows to tickets
reading   all of these in one pass                importer              stores the tickets
"""

from aura.desk.importing.importer import import_tickets, preview_import
from aura.desk.importing.presets import FIELDS, presets, words
from aura.desk.importing.reading import ImportOptions
from aura.desk.importing.report import ImportedTicket, ImportReport, InvalidImportFile, KnownRow

__all__ = [
    "FIELDS",
    "ImportOptions",
    "ImportReport",
    "ImportedTicket",
    "InvalidImportFile",
    "KnownRow",
    "import_tickets",
    "presets",
    "preview_import",
    "words",
]
