"""The HTML part of a mail: the same text, escaped, in the page `message.html`."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from aura.notifications.render import RenderedMessage, supported_language

#: Filled by str.format with escaped text; Jinja would take ten times as long.
_PAGE = Path(__file__).with_name("message.html").read_text()
_PARAGRAPH = '<p style="margin:0 0 16px">\n{}\n</p>'


#: A URL without the punctuation that ends a sentence; all texts of strangers have been defanged before.
_URL = re.compile(r"https?://[^\s<>\"']{1,2000}(?<![.,;:!?)\]}])", re.IGNORECASE)


def as_html(message: RenderedMessage, language: str) -> str:
    """Return the message as an HTML page; its URLs become links."""
    text, at = "", 0
    content = message.text.strip()
    for found in _URL.finditer(content):
        url = escape(found[0])
        text += f'{escape(content[at : found.start()])}<a href="{url}" style="color:#1a56c4">{url}</a>'
        at = found.end()
    text += escape(content[at:])
    paragraphs = [_PARAGRAPH.format(part.replace("\n", "<br>\n")) for part in text.split("\n\n")]
    subject = escape(message.subject)
    return _PAGE.format(language=supported_language(language), subject=subject, paragraphs="\n".join(paragraphs))
