"""mkdocs hook: links from a page to a file outside of docs/ lead to the repository.

By default they lead to the files of the clone in which the pages were built (build/docs). For pages that are published elsewhere,
AURA_DOCS_SOURCE names the address of the repository's tree, such as https://git.example.com/aura/blob/v0.2.0.
"""

from __future__ import annotations

import os
import posixpath
import re
from typing import Any

#: A scheme that mkdocs does not check; `on_page_content` replaces it.
SCHEME = "repository:"
_LINK = re.compile(r"(\]\()((?:\.\./)+[^)\s#]*)(#[^)\s]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Mark the links that leave docs/."""
    folder = posixpath.dirname(page.file.src_uri)

    def marked(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", folder, found[2].replace("\\", "")))
        return found[0] if path.startswith("docs/") else f"]({SCHEME}{path}{found[3] or ''})"

    return _LINK.sub(marked, markdown)


def on_page_content(html: str, *, page: Any, **_: Any) -> str:
    """Let the marked links lead to the repository."""
    depth = page.file.dest_uri.count("/")
    base = os.environ.get("AURA_DOCS_SOURCE") or posixpath.join(*[".."] * (depth + 2))
    return html.replace(f'href="{SCHEME}', f'href="{base.rstrip("/")}/')
