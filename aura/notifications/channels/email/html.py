"""The HTML part of a mail: the same text, escaped, in the page `message.html`."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from aura.notifications.render import RenderedMessage, supported_language

#: Filled by str.format with escaped text; Jinja would take ten times as long.
_PAGE = Path(__file__).with_name("message.html").read_text()
_PARAGRAPH = '<p style="margin:0 0 16px">\n{}\n</p>'


#: A URL with the punctuation after it; all texts of strangers have been defanged before.
_URL = re.compile(r"https?://[^\s<>\"]{1,2000}", re.IGNORECASE)
#: Punctuation that ends a sentence or a quotation, and brackets, which belong to a URL that opens them.
_ENDS = ".,;:!?'*`\u2026\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u3002\uff0c"
_BRACKETS = {")": "(", "]": "[", "}": "{"}


def as_html(message: RenderedMessage, language: str) -> str:
    """Return the message as an HTML page; its URLs become links."""
    text, at = "", 0
    content = message.text.strip()
    for found in _URL.finditer(content):
        whole = _without_punctuation(found[0])
        if whole.endswith("://"):
            continue
        url = escape(whole)
        text += f'{escape(content[at : found.start()])}<a href="{url}" style="color:#1a56c4">{url}</a>'
        at = found.start() + len(whole)
    text += escape(content[at:])
    paragraphs = [_PARAGRAPH.format(part.replace("\n", "<br>\n")) for part in text.split("\n\n")]
    subject = escape(message.subject)
    return _PAGE.format(
        language=supported_language(language, "requester"), subject=subject, paragraphs="\n".join(paragraphs)
    )


def _without_punctuation(url: str) -> str:
    """Return the URL without the punctuation of the text around it, as GitHub's autolinks do."""
    while url:
        last = url[-1]
        if last not in _ENDS and not (last in _BRACKETS and url.count(last) > url.count(_BRACKETS[last])):
            break
        url = url[:-1]
    return url
