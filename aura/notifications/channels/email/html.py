"""The HTML part of a mail: the same text, escaped, in the page `message.html`."""

from __future__ import annotations

from html import escape
from pathlib import Path

from aura.notifications.render import RenderedMessage, supported_language

#: Filled by str.format with escaped text; Jinja would take ten times as long.
_PAGE = Path(__file__).with_name("message.html").read_text()
_PARAGRAPH = '<p style="margin:0 0 16px">\n{}\n</p>'


def as_html(message: RenderedMessage, language: str, link: str) -> str:
    """Return the message as an HTML page; the line that equals `link` becomes a link."""
    url = escape(link)
    anchor = f'\n<a href="{url}" style="color:#1a56c4">{url}</a>\n'
    text = f"\n{escape(message.text.strip())}\n".replace(f"\n{url}\n", anchor).strip("\n")
    paragraphs = [_PARAGRAPH.format(part.replace("\n", "<br>\n")) for part in text.split("\n\n")]
    subject = escape(message.subject)
    return _PAGE.format(language=supported_language(language), subject=subject, paragraphs="\n".join(paragraphs))
