"""Detector of tokens and keys, by known prefixes and by randomness."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from aura.ai.text.masking.span import Span

_KNOWN = re.compile(
    r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[0-9A-Z]{12,}"
    r"|(?:gh[pousr]_|github_pat_|glpat-|xox[a-z]-|AIza|[srp]k_(?:live|test)_)[\w.-]{10,}"
    r"|(?<![A-Za-z0-9])(?:sk-|npm_|pypi-|hf_|dop_v1_|shp(?:at|ca|pa|ss)_|ya29\.|SG\.|whsec_|dckr_pat_)[\w.-]{16,}"
    r"|(?<![\w-])eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?"
    r"|(?:[A-Z0-9]{5}-){4}[A-Z0-9]{5}"
    r"|[Bb](?:earer|EARER)[ \t]{1,3}(?=[^\s]{0,200}[0-9._=+/-])[A-Za-z0-9._~+/=-]{12,}"
    r"|(?i:authorization)[ \t]{0,3}[:=][ \t]{0,3}\S{1,40}(?:[ \t]{1,3}\S{4,})?",
    re.ASCII,
)
#: A text without a run of this length and without these words has no secret; searching for them is quicker.
_SHORTEST, _NAMES = 14, ("bearer", "authorization", "-----begin")
_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----")
_RUN = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_=-]{20,}")
_NO_LETTER = re.compile(r"[+/_=-]+")
_HEX = re.compile(r"[0-9a-fA-F]{24,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
#: The share of the highest possible entropy above which letters and digits are no words and names.
_RANDOM = 0.85


def secrets(text: str) -> Iterator[Span]:
    """Yield tokens, private keys, product keys, and long random runs of letters and digits."""
    lower = text.lower()
    if max(map(len, text.split()), default=0) < _SHORTEST and not any([name in lower for name in _NAMES]):
        return
    for match in _KNOWN.finditer(text):
        yield Span(*match.span(), "secret")
    at = 0
    while begins := _KEY_BEGINS.search(text, at):
        ends = _KEY_ENDS.search(text, begins.end())
        # without an end the rest of the text may be the key
        at = ends.end() if ends else len(text)
        yield Span(begins.start(), at, "secret")
    for run in _RUN.finditer(text):
        if _looks_random(run[0]):
            yield Span(*run.span(), "secret")


def _looks_random(run: str) -> bool:
    signs = _NO_LETTER.sub("", run)
    if len(signs) < 20 or signs.isdigit() or signs.isalpha() or _UUID.fullmatch(run):
        return False
    if _HEX.fullmatch(signs):
        return True
    length = len(signs)
    entropy = math.log2(length) - sum(n * math.log2(n) for n in Counter(signs).values()) / length
    return entropy / min(math.log2(length), 6.0) >= _RANDOM
