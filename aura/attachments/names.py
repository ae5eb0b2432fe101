"""File names of attachments: any text becomes a name that is safe on every file system and readable on a page.

Own code: `werkzeug.utils.secure_filename` and `pathvalidate` keep ASCII alone or leave the characters that change the
direction of the text, and a name such as `invoice<U+202E>fdp.exe` must not look like a PDF.
"""

from __future__ import annotations

import re
import unicodedata

#: Bytes of a name in UTF-8. File systems allow 255; a copy gets a number as well.
MAX_BYTES = 180
#: Characters of the longest ending that stays when a name is cut.
MAX_ENDING = 20

#: Names of devices on Windows, with any ending.
_DEVICES = re.compile(r"(?:CON|PRN|AUX|NUL|COM\d|LPT\d|CONIN\$|CONOUT\$)(?:\.|$)", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*]')
#: Unicode categories that no name contains: control, format (with bidirectional overrides), surrogate, private, unassigned.
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn")


def safe_name(name: str, default: str = "attachment") -> str:
    """Return the last part of a path as a file name of at most MAX_BYTES bytes; the default when nothing is left."""
    # a limit first: everything below takes time in proportion to the length
    last = name[-2_000:].replace("\\", "/").rstrip("/").rpartition("/")[2]
    visible = "".join(" " if char.isspace() else char for char in last if char.isspace() or _is_visible(char))
    plain = _FORBIDDEN.sub("_", " ".join(unicodedata.normalize("NFC", visible).split())).strip(". ")
    if not plain:
        return default
    return _cut(f"_{plain}" if _DEVICES.match(plain) else plain)


def _is_visible(char: str) -> bool:
    return unicodedata.category(char) not in _INVISIBLE


def _cut(name: str) -> str:
    """Shorten a long name, and leave its ending."""
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > MAX_ENDING:
        stem, dot, ending = name, "", ""
    room = MAX_BYTES - len(f"{dot}{ending}".encode())
    return stem.encode()[: max(room, 1)].decode("utf-8", "ignore").rstrip(". ") + dot + ending
