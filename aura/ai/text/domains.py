"""Domain names in a text: recognised by the public suffix list, in any script.

publicsuffixlist ships the list (Mozilla, MPL 2.0), is updated every month, has no dependencies and reads no network. tldextract
needs requests and filelock and fetches the list by default; the data of publicsuffix2 are of 2019.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

#: Names outside the public list that resolve inside a network, over Tor, or in examples.
_SPECIAL = frozenset(
    {"example", "invalid", "test", "localhost", "local", "lan", "internal", "intranet", "corp", "onion"}
)
#: Endings of files that are top-level domains as well.
FILE_ENDINGS = frozenset({"zip", "mov", "md", "py", "sh", "pl", "rs", "ps", "so", "cc", "cab", "pub", "java", "bat"})
#: Names of frameworks that end like a domain.
_FRAMEWORKS = frozenset({"asp.net", "vb.net", "ado.net", "ml.net", "paint.net"})

#: Labels with dots between them; whether they are a domain says `is_domain`.
DOTTED = re.compile(r"(?<![\w@.-])[\w-]+(?:\.[\w-]+)+")


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)


@lru_cache(2_000)
def is_domain(name: str) -> bool:
    """Return whether a name of two labels or more ends with a public suffix or a special name."""
    name = name.lower()
    labels = name.split(".")
    last = labels[-1]
    if len(labels) < 2 or name in _FRAMEWORKS or last.isdigit():
        return False
    # a private rule such as blogspot.com ends with a public one, so the last two labels decide
    return last in _SPECIAL or _suffixes().publicsuffix(".".join(labels[-2:])) is not None
