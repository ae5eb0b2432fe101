"""Converts HTML to plain text, as a mail program without HTML would show it.

``lxml`` (libxml2 2.14) parses; the parser's events are used, not a tree, because they take linear time and memory for unclosed
elements, which trees do not: `selectolax` takes quadratic time for about ten of 30 hostile inputs, a tree of lxml ends at a depth
of 2,048 and loses the text after it, and ``inscriptis`` pads table columns (48 kB become 40 MB).
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from html import escape, unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from lxml import etree

#: Bytes that are parsed at once, and open elements after which a new parser continues: an end tag without its start tag is
#: compared with all open elements.
_CHUNK, _DEPTH = 8_000, 300
#: Characters of a link's target; a longer one is left out.
_URL_LIMIT = 2_000
_QUOTE_DEPTH = 10

_LOOKS_HTML = re.compile(
    r"<(?:!doctype\s+html|/?(?:html|head|body|div|p|br|span|table|tr|td|ul|ol|li|a|b|i|strong|em|font|h[1-6]|img|"
    r"script|style|pre|blockquote|hr)\b[^<>]{0,2000}>)",
    re.IGNORECASE,
)


def _tags(names: str) -> frozenset[str]:
    return frozenset(names.split())


#: Elements that begin a line, and those with a blank line around them.
_LINES = _tags(
    "address article aside body caption center dd details dir div dl dt fieldset figcaption figure footer form header hr html "
    "legend li main nav noscript option section summary table tbody tfoot thead tr"
)
_PARAGRAPHS = _tags("blockquote h1 h2 h3 h4 h5 h6 listing menu ol p plaintext pre ul xmp")
_BREAKS = dict.fromkeys(_LINES, 1) | dict.fromkeys(_PARAGRAPHS, 2)
_PREFORMATTED = _tags("listing plaintext pre textarea xmp")
#: Elements without visible text; so is `xml`, settings of Office, unless nothing else is there.
_HIDDEN = _tags("applet audio iframe script style svg template title video")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
_PRE_STYLE = re.compile(r"white-space\s*:\s*(?:pre|break-spaces)", re.IGNORECASE)
#: Marks of quoted mail: Gmail, Apple Mail and Thunderbird, Proton, Zimbra and others with a line at the left.
_QUOTE = re.compile(
    r"gmail_quote|protonmail_quote|tutanota_quote|zmail_extra|cite|border-left\s*:(?!\s*(?:none|0))", re.IGNORECASE
)
_SPACES = re.compile(r"[ \t\r\n\f]{2,}|[\t\r\n\f]")
_INVALID = re.compile("[\x00-\x08\x0b\x0e-\x1f\ud800-\udfff]")
#: Addresses in angle brackets that their author did not escape.
_UNESCAPED = re.compile(r"<(?=[\w.+-]+@[\w.-]+>|(?:https?://|mailto:)[^\s<>]+>)")
#: References to characters that do not exist, or that Windows-1252 has where Unicode has control characters.
_REFERENCE = re.compile(
    r"&#(?:0*(?:1[2-5]\d|0)(?!\d)|x0*(?:[89][0-9a-f]|0)(?![0-9a-f])|xd[89a-f][0-9a-f]{2}|x?[0-9a-f]{5,});?",
    re.IGNORECASE,
)
_LINK = re.compile(r"(?:https?://|ftps?://|www\.)\S+|mailto:[^\s?]+@[^\s?]+(?:\?\S*)?", re.IGNORECASE)
#: Characters that do not tell two spellings of an address apart.
_SCHEME = re.compile(r"^(?:[a-z]+://(?:www\.)?|www\.|mailto:)", re.IGNORECASE)


def plain_text(text: str) -> str:
    """Return the text without HTML tags if it looks like HTML, else unchanged."""
    return html_to_text(text) if _LOOKS_HTML.search(text) else text


def html_to_text(source: str) -> str:
    """Return the visible text of HTML.

    Links keep their targets as "text (https://example.com)", quoted mail is marked by "> ", preformatted text keeps its blanks.
    Scripts, styles, comments, hidden elements, pictures and the tags of Office are left out. Never raises.
    """
    source = _UNESCAPED.sub("&lt;", _INVALID.sub("", source))
    if "&#" in source:
        source = _REFERENCE.sub(_referred, source)
    writer = _Writer(hide=True)
    _parse(source, writer)
    if not (text := writer.text()) and writer.hid:
        # an unclosed hidden element hides all that follows
        writer = _Writer(hide=False)
        _parse(source, writer)
        text = writer.text()
    return text


def _parse(source: str, writer: _Writer) -> None:
    from lxml import etree  # a process that converts no HTML does not load it

    parser = etree.HTMLParser(target=writer, huge_tree=True)
    for at in range(0, len(source), _CHUNK):
        chunk = source[at : at + _CHUNK]
        if writer.depth > _DEPTH and "<" in chunk:
            before, _, rest = chunk.partition("<")
            _feed(parser, before)
            _close(parser)
            parser, chunk = etree.HTMLParser(target=writer, huge_tree=True), f"<{rest}"
        _feed(parser, chunk)
    _close(parser)


def _feed(parser: etree.HTMLParser, chunk: str) -> None:
    if chunk:
        parser.feed(chunk)


def _close(parser: etree.HTMLParser) -> None:
    from lxml.etree import LxmlError

    with suppress(LxmlError):  # there is no element at all
        parser.close()


@dataclass(slots=True)
class _Element:
    """An open element, and what it changes until its end."""

    tag: str
    hidden: bool = False
    preformatted: bool = False
    quoted: bool = False
    #: The target of a link, the place where its text begins, and the text of a picture in it.
    target: str = ""
    begin: int = 0
    alternative: str = ""


#: The records of elements without attributes, which are many, are shared; `_PLAIN` is that of most tags.
_PLAIN = _Element("")
_BY_TAG = {
    tag: _Element(tag, hidden=tag in _HIDDEN, preformatted=tag in _PREFORMATTED) for tag in _HIDDEN | _PREFORMATTED
}
_BY_TAG |= {tag: _Element(tag) for tag in ("ul", "ol", "li")}


class _Writer:
    """Receives the events of the parser and writes text."""

    def __init__(self, hide: bool) -> None:
        self._hide = hide
        #: Whether an element was hidden by its style.
        self.hid = False
        self._parts: list[str] = []
        self._pending: list[str] = []
        self._open: list[_Element] = []
        #: Numbers of list items; None for lists without numbers.
        self._lists: list[int | None] = []
        #: Line breaks, a blank and the mark of a list item that are due before the next text.
        self._breaks, self._blank, self._bullet = 0, False, ""
        #: Number of open elements that are hidden, preformatted, quotes.
        self._hidden = self._preformatted = self._quotes = 0
        self._link: _Element | None = None

    @property
    def depth(self) -> int:
        """Number of open elements."""
        return len(self._open)

    def text(self) -> str:
        """Return the text that was written."""
        lines = "".join(self._parts).replace("\xa0", " ").split("\n")
        return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n")

    # -- events of the parser -----------------------------------------------------------------------------------------

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Handle a start tag."""
        if self._pending:
            self._flush()
        own = attributes or tag == "xml"
        element = self._element(tag, attributes) if own else _BY_TAG.get(tag, _PLAIN)
        self._open.append(element)
        self._hidden += element.hidden
        if self._hidden:
            return
        self._break(tag)
        if tag == "br":
            self._breaks += 1
        elif tag in ("td", "th"):
            self._blank = True
        elif tag == "img":
            self._picture(attributes.get("alt", ""))
        elif element is not _PLAIN:
            self._begin(element, attributes)

    def _element(self, tag: str, attributes: dict[str, str]) -> _Element:
        style = attributes.get("style", "")
        by_style = self._hide and (
            tag == "xml" or "hidden" in attributes or (style != "" and _HIDDEN_STYLE.search(style) is not None)
        )
        self.hid = self.hid or by_style
        return _Element(
            tag,
            hidden=by_style or tag in _HIDDEN,
            preformatted=tag in _PREFORMATTED or (style != "" and _PRE_STYLE.search(style) is not None),
            quoted=tag == "blockquote" and _is_quote(attributes),
        )

    def _begin(self, element: _Element, attributes: dict[str, str]) -> None:
        self._preformatted += element.preformatted
        self._quotes += element.quoted
        if element.tag in ("ul", "ol"):
            self._lists.append(_number(attributes.get("start", "1")) if element.tag == "ol" else None)
        elif element.tag == "li":
            self._start_item()
        elif element.tag == "a":
            element.target, element.begin = _target(attributes.get("href", "")), len(self._parts)
            self._link = element  # of links within links the inner one counts

    def end(self, tag: str) -> None:
        """Handle an end tag; the parser writes those that are missing."""
        if self._pending:
            self._flush()
        if not self._open:
            return
        element = self._open.pop()
        self._hidden -= element.hidden
        if self._hidden or element.hidden:
            return
        if element is self._link:
            self._end_link(element)
        self._preformatted -= element.preformatted
        self._break(tag)
        self._quotes -= element.quoted
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        elif tag == "li":
            self._bullet = ""

    def data(self, text: str) -> None:
        """Handle text between tags, which may come in pieces."""
        if not self._hidden:
            self._pending.append(text)

    def close(self) -> None:
        """End the document."""
        self._flush()

    # -- text ---------------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        text = "".join(self._pending)
        self._pending.clear()
        if self._preformatted:
            first, *others = text.split("\n")
            self._write(first)
            for line in others:
                self._breaks += 1
                self._write(line)
            return
        words = _SPACES.sub(" ", text)
        self._blank = self._blank or words.startswith(" ")
        if words := words.strip(" "):
            self._write(words)
            self._blank = text[-1] in " \t\r\n\f"

    def _break(self, tag: str) -> None:
        if (breaks := _BREAKS.get(tag, 0)) > self._breaks:
            self._breaks = breaks

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._breaks or not self._parts:
            self._parts.append("\n" * self._breaks + "> " * min(self._quotes, _QUOTE_DEPTH))
        elif self._blank:
            self._parts.append(" ")
        self._parts += [self._bullet, text]
        self._breaks, self._blank, self._bullet = 0, False, ""

    def _start_item(self) -> None:
        number = self._lists[-1] if self._lists else None
        self._bullet = "- " if number is None else f"{number}. "
        if number is not None:
            self._lists[-1] = number + 1

    def _picture(self, text: str) -> None:
        if text and len(text) <= 8 and not any(map(str.isalnum, text)):
            self._write(text.strip())  # an emoji
        elif self._link is not None:
            self._link.alternative = self._link.alternative or " ".join(text.split())[:200]

    def _end_link(self, link: _Element) -> None:
        self._link = None
        if not link.target:
            return
        text = "".join(self._parts[link.begin :]).strip()
        if not text and link.alternative:
            self._write(link.alternative)
            text = link.alternative
        if not text:
            self._write(link.target)
        elif _bare(text) != _bare(link.target):
            blank, self._breaks = self._blank, 0
            self._parts.append(f" ({link.target})")
            self._blank = blank


def _referred(reference: re.Match[str]) -> str:
    """Return the character of a numeric reference as HTML says; nothing for one that does not exist."""
    if len(reference[0]) > 20:
        return ""
    character = unescape(reference[0])
    return escape(character) if character.isprintable() and character != "\ufffd" else ""


def _is_quote(attributes: dict[str, str]) -> bool:
    marks = " ".join(attributes.get(name, "") for name in ("style", "class", "type"))
    return "cite" in attributes or _QUOTE.search(marks) is not None


def _number(start: str) -> int:
    return int(start) if start.isascii() and start.isdigit() and len(start) < 6 else 1


def _target(href: str) -> str:
    """Return the address of a link that may be shown; empty for scripts, data, places on the page and others."""
    target = "".join(href.split())
    if len(target) > _URL_LIMIT or not _LINK.fullmatch(target):
        return ""
    return target[7:].partition("?")[0] if target[:7].lower() == "mailto:" else target


def _bare(address: str) -> str:
    """Return an address without what two spellings of it can differ in."""
    return unquote(_SCHEME.sub("", address)).rstrip("/").casefold()
