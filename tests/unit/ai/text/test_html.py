"""HTML to text: links keep their targets, what a reader does not see goes, hostile input takes linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.ai.text.html import html_to_text, plain_text
from tests.growth import MOST, growth


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>Hello &amp; <b>welcome</b></p><script>alert(1)</script><!-- secret -->a<br>b &uuml;", "Hello & welcome\n\na\nb ü"),
        ("Gr&uuml;&szlig;e aus K&ouml;ln &amp; Bonn", "Grüße aus Köln & Bonn"),
        ("<h1>Offer</h1><ul><li>one</li><li>two</li></ul><ol start=3><li>three<li>four</ol>",
         "Offer\n\n- one\n- two\n\n3. three\n4. four"),
        ("<table><tr><th>Name</th><th>Room</th></tr><tr><td>Ada</td><td>12</td></tr></table>", "Name Room\nAda 12"),
        ("<div>one<br></div><div><br></div><div>two</div>", "one\n\ntwo"),
        ("<p>a\n   b</p><pre>def f():\n    return 1</pre>", "a b\n\ndef f():\n    return 1"),
        ('<span style="white-space: pre-wrap">x\n  y</span>', "x\n  y"),
        ('<td title="a > b">cell</td>', "cell"),
        ("it&#146;s 5 &#128; &#x2014; &#0;&#xD800;ok", "it’s 5 € — ok"),
        ("<p>a &#" + "9" * 10_000 + "; b</p>", "a b"),
        ("write to <ada@example.com> or <https://example.com/x>", "write to <ada@example.com> or <https://example.com/x>"),
        ("Well done <img alt='👍' src=x><img alt='A logo' src=y>", "Well done 👍"),
        ("<meta charset=iso-8859-1><p>Größe 打印</p>", "Größe 打印"),
    ],
)  # fmt: skip
def test_html_becomes_the_text_that_a_reader_sees(source: str, text: str) -> None:
    assert html_to_text(source) == text


@pytest.mark.parametrize(
    "source",
    [
        "<p>before<o:p></o:p></p><p>after</p>",
        '<p>before</p><?xml:namespace prefix = o ns = "urn:office" /><p>after</p>',
        "<p>before</p><!--[if gte mso 9]><xml><o:Zoom>120</o:Zoom></xml><![endif]--><p>after</p>",
        "<p>before</p><xml><w:Zoom>120</w:Zoom></xml><p>after</p>",
        '<p><st1:place w:st="on">before</st1:place></p><v:shape id="x"></v:shape><p><![if !vml]>after<![endif]></p>',
        f'<p>before</p><img src="data:image/png;base64,{"QUJD" * 50_000}"><p>after</p>',
        '<p>before</p><div style="display: none">preview</div><p>after</p>',
        "<p>before</p><div hidden>preview</div><p>after</p>",
        "<p>before</p><style>p { color: red }</style><p>after</p>",
    ],
)
def test_tags_of_office_data_and_hidden_elements_go_and_the_text_after_them_stays(source: str) -> None:
    assert html_to_text(source) == "before\n\nafter"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('see <a href="https://intra.example/wiki/7">this page</a>.', "see this page (https://intra.example/wiki/7)."),
        ('<a href="https://example.com/">https://example.com</a>', "https://example.com"),
        ('<a href="http://www.example.com">example.com</a>', "example.com"),
        ('<a href="https://evil.example">https://bank.example</a>', "https://bank.example (https://evil.example)"),
        ('<a href="mailto:ada@example.com?subject=x">Ada</a>', "Ada (ada@example.com)"),
        ('<a href="javascript:alert(1)">run</a> <a href="data:text/html,x">d</a> <a href="#top">up</a>', "run d up"),
        ('<a href="java\nscript:alert(1)">run</a>', "run"),
        ('<a href="https://example.com/x"><img src=y alt="Report"></a>', "Report (https://example.com/x)"),
        ('<a href="https://example.com/x"><img src=y></a>', "https://example.com/x"),
        (f'<a href="https://example.com/{"x" * 3_000}">long</a>', "long"),
    ],
)
def test_a_link_keeps_its_target_beside_its_text(source: str, text: str) -> None:
    assert html_to_text(source) == text


@pytest.mark.parametrize(
    "quote",
    [
        '<blockquote class="gmail_quote">', '<blockquote type="cite">', '<blockquote style="border-left: 2px solid blue">',
        '<blockquote cite="mid:1@example.com">',
    ],
)  # fmt: skip
def test_quoted_mail_is_marked_and_an_indented_text_is_not(quote: str) -> None:
    inner = f"{quote}older</blockquote>"

    assert html_to_text(f"new{quote}old<br>mail{inner}</blockquote>end") == "new\n\n> old\n> mail\n\n> > older\n\nend"
    indented = '<blockquote style="margin:0 0 0 40px;border:none">mine</blockquote>'
    assert html_to_text(f"new{indented}") == "new\n\nmine"


def test_an_unclosed_hidden_element_does_not_hide_the_whole_text() -> None:
    assert html_to_text('<div style="display:none"><p>the only text') == "the only text"


def test_text_after_many_open_elements_stays() -> None:
    assert html_to_text("<div>" * 20_000 + "deep" + "</div>" * 20_000 + "<p>after</p>").split() == ["deep", "after"]


def test_only_text_that_looks_like_html_is_converted() -> None:
    for text in ("if a < b and c > d", "mail <anna@example.com> about it", "x <- y"):
        assert plain_text(text) == text
    assert plain_text("<p>one</p>two") == "one\n\ntwo"


@given(st.text(st.characters(exclude_categories=()), max_size=300) | st.text("<>/!-ab ='\"&;#x0p\n", max_size=200))
def test_any_text_is_converted_without_an_error(text: str) -> None:
    html_to_text(text)
    html_to_text("<p>" + text)


HOSTILE = [
    "<", "<!--", "<a ", "<script>", "<p ", "&#", "</", '<a "', "<style", "<![CDATA[", "<div>", "<b><p>", "<ul><li>",
    "<table><tr><td>", "<a href=https://x.example/>y", "<blockquote type=cite>x", "<svg><p>",
    "<select><option>", "<p>" + " " * 50,
    "<br>x",
    "<form><div></form>",
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_html_takes_linear_time(hostile: str) -> None:
    assert growth(html_to_text, "<p>" + hostile * (100_000 // len(hostile))) < MOST


@pytest.mark.parametrize(("opened", "closed"), [("<span>", "</p>"), ("<span>", "</x>"), ("<b><div>", "</b>")])
def test_end_tags_without_start_tags_take_linear_time(opened: str, closed: str) -> None:
    # each is compared with all open elements
    growing = opened * 30_000 + closed * 30_000
    assert growth(lambda text: html_to_text(opened * (len(text) // 12) + closed * (len(text) // 8)), growing) < MOST
