"""Joins the lines of text that is sent as format=flowed (RFC 3676), whose line breaks are not those of its author.

Own code: no library of the project reads the format. The time is linear.
"""

from __future__ import annotations

_SIGNATURE = "-- "


def join_flowed(text: str, delete_spaces: bool = False) -> str:
    """Return the text with one line for each paragraph; quote marks stay. `delete_spaces` is the parameter DelSp=yes."""
    joined: list[str] = []
    pieces: list[str] = []
    open_depth = 0
    for line in text.replace("\r\n", "\n").split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")  # stuffed
        signature = content == _SIGNATURE
        if pieces and (depth != open_depth or signature or not content):
            joined.append("".join(pieces))
            pieces = []
        if not pieces and depth:
            pieces.append(f"{'>' * depth} ")
        flows = content.endswith(" ") and not signature
        pieces.append(content[:-1] if flows and delete_spaces else content)
        open_depth = depth
        if not flows:
            joined.append("".join(pieces))
            pieces = []
    if pieces:
        joined.append("".join(pieces))
    return "\n".join(joined)
