"""Guardrails: limit the priority of a remote engine's answer, and remove links and addresses from its texts.

The text of a ticket can manipulate a remote engine (prompt injection). The local engine follows no instructions, so its
priority bounds the remote one.
"""

from __future__ import annotations

import re

from aura.ai.text.clean import clean
from aura.ai.text.masking import mask
from aura.ai.text.masking.plain_characters import plain_characters
from aura.settings import PRIORITIES


def limit_priority(remote: str, local: str) -> tuple[str, bool]:
    """Return the remote priority, at most one level from the local one, and whether it was limited.

    An upper bound, because a ticket must not page people at night by its wording. A lower bound, because it must not hide an
    outage.
    """
    if remote not in PRIORITIES:
        return local, True
    rank, local_rank = PRIORITIES.index(remote), PRIORITIES.index(local)
    allowed = min(max(rank, local_rank - 1), local_rank + 1)
    return PRIORITIES[allowed], allowed != rank


_TAG = re.compile(r"<[^<>]{0,2000}>")
_LABELLED = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,1000}(?:[ \t][^()]{0,200})?\)")
#: Domain endings that mail programs turn into links; "report.docx" and "Node.js" have none.
_ENDINGS = (
    "com|net|org|info|biz|io|co|de|at|ch|uk|eu|us|ru|cn|fr|nl|pl|it|es|tk|xyz|top|site|online|app|dev|ly|me|link|click|shop|"
    "club|live|store|cloud|example|invalid|test"
)
_LINK = re.compile(
    r"[a-z][a-z0-9+.-]{0,20}:/{2}\S*|(?<!\w)(?:javascript|vbscript|mailto|callto|tel|sms|data):\S+|//[^\s/]\S*|www\.\S+|"
    rf"(?<![\w@.])(?:[\w-]{{1,63}}\.){{1,8}}(?:[^\W\d_]{{2,24}}/\S+|(?:{_ENDINGS})(?![\w-])(?::\d+)?(?:[/?#]\S*)?)|"
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?/\S*",
    re.IGNORECASE,
)
#: The beginning of a link or the middle of an address whose rest no pattern above matches.
_OPENING = re.compile(r":/{2}|www\.|@", re.IGNORECASE)


def safe_text(text: str, limit: int) -> str:
    """Return a remote engine's text as one line of at most ``limit`` characters.

    It has no tags, links, addresses, phone numbers or control characters, so it can lead no reader to another place.
    """
    text = plain_characters(clean(text, 4 * limit))
    text = _TAG.sub("", " ".join(text.split())).replace("<", "").replace(">", "")
    text = _LINK.sub("[link]", _LABELLED.sub(r"\1", text))
    text = _OPENING.sub(" ", mask(text).text)
    return " ".join(text.split())[:limit].strip()
