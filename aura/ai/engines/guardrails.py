"""What a remote engine's answer may do, and which of its words people get to see.

The ticket's text reaches the remote engine, so its answer may be what a stranger wants. The local engine only looks words
up and obeys nobody: its priority is the measure.
"""

from __future__ import annotations

import re

from aura.ai.text.clean import clean
from aura.ai.text.masking import mask
from aura.ai.text.masking.plain import plain
from aura.settings import PRIORITIES


def apply_guardrails(said: str, local: str) -> tuple[str, bool]:
    """Return the priority that is allowed, at most one level from the local engine's, and whether it was cut.

    Upwards, because a stranger's text must not page people at night. Downwards too, because it must not keep an outage
    quiet: one level too high costs a person a look, several levels too low may cost the night unseen.
    """
    middle = PRIORITIES.index(local)
    if said not in PRIORITIES:
        return local, True
    wanted = PRIORITIES.index(said)
    allowed = min(max(wanted, middle - 1), middle + 1)
    return PRIORITIES[allowed], allowed != wanted


_TAG = re.compile(r"<[^<>]{0,2000}>")
_LABELLED = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,1000}(?:[ \t][^()]{0,200})?\)")
#: Endings that mail programs make a link of; "report.docx" and "Node.js" are none.
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
#: The beginning of a link or the middle of an address whose rest was not recognised.
_OPENING = re.compile(r":/{2}|www\.|@", re.IGNORECASE)


def safe_words(text: str, limit: int) -> str:
    """Return what a remote engine wrote as one line for people, of at most so many characters.

    No tags, links, addresses, phone numbers or control characters: nobody can be sent somewhere, or made to call.
    """
    text = plain(clean(text, 4 * limit))
    text = _TAG.sub("", " ".join(text.split())).replace("<", "").replace(">", "")
    text = _LINK.sub("[link]", _LABELLED.sub(r"\1", text))
    text = _OPENING.sub(" ", mask(text).text)
    return " ".join(text.split())[:limit].strip()
