"""Charsets: labels by the WHATWG table, supersets, detection where label and bytes disagree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.ai.text.charsets import codec_of, decode, detect_charset

GREETINGS = {
    "gb2312": "服务器无法连接",
    "gbk": "會議室的投影機",
    "big5": "網路連線中斷",
    "shift_jis": "画面が映らない",
    "euc-jp": "メールが届きません",
    "iso-2022-jp": "会議室の電話",
    "euc-kr": "모니터가 꺼졌어요",
    "koi8-r": "Не открывается почта",
    "koi8-u": "Не працює мережа",
    "windows-1251": "Сломался сканер",
    "windows-1250": "Nie mogę się zalogować",
    "iso-8859-2": "Nefunguje přihlášení",
    "windows-1252": "Schlüssel für 3 Türen",
    "iso-8859-15": "Tür für 12 €",
    "windows-1253": "Δεν ανοίγει η πόρτα",
    "windows-1254": "Şifremi değiştiremiyorum",
    "iso-8859-9": "Bağlantı kurulamıyor",
    "windows-1255": "אין חיבור לרשת",
    "windows-1256": "لا يعمل الهاتف",
    "windows-1257": "Neveikia tinklo spausdintuvas ąčęėįšųūž",
    "windows-874": "เปิดเครื่องไม่ได้",
    "utf-16": "Schlüssel",
    "utf-7": "Schlüssel & Tür",
    "hz-gb-2312": "服务器无法连接",
    "iso-2022-kr": "모니터가 꺼졌어요",
}


@pytest.mark.parametrize("label", GREETINGS)
def test_text_is_read_with_its_label(label: str) -> None:
    codec = {"windows-874": "cp874"}.get(label, label)

    assert decode(GREETINGS[label].encode(codec), label) == GREETINGS[label]


@pytest.mark.parametrize("label", [each for each in GREETINGS if each != "utf-16"])
def test_utf8_under_another_label_is_read_as_utf8(label: str) -> None:
    assert decode(GREETINGS[label].encode(), label) == GREETINGS[label]


@pytest.mark.parametrize("label", ["gb2312", "big5", "shift_jis", "euc-jp", "euc-kr", "koi8-r", "windows-1251", "windows-1252",
                                   "windows-1253", "windows-1254", "windows-1255", "windows-1256", "windows-874"])  # fmt: skip
@pytest.mark.parametrize("stated", ["", "us-ascii", "unknown-8bit", "klingon"])
def test_text_without_a_label_is_detected(label: str, stated: str) -> None:
    text = f"{GREETINGS[label]}. {GREETINGS[label]}"

    assert decode(text.encode({"windows-874": "cp874"}.get(label, label)), stated) == text


@pytest.mark.parametrize("stated", ["", "us-ascii", "klingon"])
def test_iso_2022_kr_needs_no_label(stated: str) -> None:
    content = GREETINGS["iso-2022-kr"].encode("iso-2022-kr")

    assert decode(content, stated) == GREETINGS["iso-2022-kr"]


@pytest.mark.parametrize(
    ("label", "content", "text"),
    [
        ("gb2312", "①打印机镕".encode("gb18030"), "①打印机镕"),
        ("gbk", b"\x80 5", "€ 5"),
        ("shift_jis", "②㈱髙橋".encode("cp932"), "②㈱髙橋"),
        ("ks_c_5601-1987", "똠방각하".encode("cp949"), "똠방각하"),
        ("iso-8859-1", b"\x93quoted\x94 \x96 \x80 5", "“quoted” – € 5"),
        ("iso-8859-11", "เปิด".encode("cp874"), "เปิด"),
        ("euc-jp", b"\xad\xa1 \xa5\xd7", "① プ"),
    ],
)
def test_a_label_names_the_superset_that_programs_mean(label: str, content: bytes, text: str) -> None:
    assert decode(content, label) == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\x1b$B-!-j\x1b(B No. 7", "①㈱ No. 7"),
        (b"\x1b(I123\x1b(B", "ｱｲｳ"),
        (b"\x1b$B%W%j%s%?\x1b(J ok", "プリンタ ok"),
        (b"\x1b$(D\x22\x2f\x1b(B", "˘"),
        (b"\x1b$B%W", "プ"),
    ],
)
@pytest.mark.parametrize("label", ["iso-2022-jp", "", "us-ascii", "utf-8"])
def test_iso_2022_jp_has_circled_digits_and_kana_and_needs_no_label(content: bytes, text: str, label: str) -> None:
    assert decode(content, label) == text


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("windows-874", "cp874"), ("iso-8859-8-i", "iso8859-8"), ("x-sjis", "cp932"), ("windows-31j", "cp932"),
        ("x-gbk", "gb18030"), ("cp-850", "cp850"), ("850", "cp850"), ("x-mac-cyrillic", "mac-cyrillic"),
        ("x-mac-ce", "mac_latin2"),
        ("macintosh", "mac-roman"),
        ("win-1251", "cp1251"), ("windows1251", "cp1251"), ("cp936", "gb18030"), ("ms949", "cp949"), ("koi8-r*ru", "koi8-r"),
        ('"UTF-8"', "utf-8"), ("3Dutf-8", "utf-8"), ("utf8", "utf-8"), ("latin1", "cp1252"), ("iso8859_15", "iso8859-15"),
        ("unicode-1-1-utf-7", "utf-7"), ("ISO-8859-1; format=flowed", "cp1252"), ("cp65001", "utf-8"),
        ("us-ascii", ""), ("hex", ""), ("zlib", ""), ("punycode", ""), ("idna", ""), ("unicode_escape", ""),
        ("x" * 500, ""), ("ü", ""),
    ],
)  # fmt: skip
def test_labels_of_mail_programs_name_a_codec_and_others_none(label: str, codec: str) -> None:
    assert codec_of(label).replace("_", "-") == codec.replace("_", "-")


@pytest.mark.parametrize(
    ("label", "content", "text"),
    [
        ("utf-8", "Größe und Maß".encode() + b"\xff ok", "Größe und Maß\ufffd ok"),
        ("utf-8", "für".encode() + b"\xff", "für\ufffd"),
        ("", "Größe und Maß".encode() + b"\xff ok", "Größe und Maß\ufffd ok"),
        ("iso-8859-1", "Größe und Maß".encode() + b"\xff ok", "Größe und Maß\ufffd ok"),
        ("gb2312", "服务器无法连接".encode("gbk") + b"\xff ok", "服务器无法连接\ufffd ok"),
        ("shift_jis", "画面が映らない".encode("cp932") + b"\x81\n", "画面が映らない\ufffd\n"),
    ],
)
def test_one_bad_byte_costs_one_character(label: str, content: bytes, text: str) -> None:
    assert decode(content, label) == text


@pytest.mark.parametrize("label", ["gb2312", "koi8-r", "windows-1251", "shift_jis", "windows-1253", "windows-1255"])
def test_other_scripts_under_the_label_latin1_are_detected(label: str) -> None:
    assert decode(GREETINGS[label].encode(label), "iso-8859-1") == GREETINGS[label]


@pytest.mark.parametrize(
    "text",
    [
        "ÄÖÜ äöü ß",
        "———————— … „Größe“ ……… ————",
        "«Été à l’Hôtel», 5 €",
        "TÜR ÖFFNET NICHT, GRÖSSE ÄÖÜ",
        "¡¿Qué es eso?! ½¼¾ °§±µ",
    ],
)
def test_western_text_under_the_label_latin1_stays(text: str) -> None:
    assert decode(text.encode("cp1252"), "iso-8859-1") == text


def test_latin_letters_under_the_label_utf8_are_windows_1252() -> None:
    assert decode(b"caf\xe9 \x96 it\x92s", "utf-8") == "café – it’s"


@pytest.mark.parametrize(
    ("label", "codec"), [("utf-8", "utf-8"), ("gb2312", "gb18030"), ("shift_jis", "cp932"), ("utf-16-le", "utf-16-le")]
)
def test_a_text_that_is_cut_ends_before_half_a_character(label: str, codec: str) -> None:
    whole = ("a " + "界世" * 20).encode(codec)

    for size in range(6, len(whole)):
        assert ("a " + "界世" * 20).startswith(decode(whole[:size], label, cut=True))


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_recognised_by_its_mark_or_its_zeros(codec: str) -> None:
    assert decode("Drucker für Büro\r\n".encode(codec)) == "Drucker für Büro\r\n"


def test_a_wrong_utf16_label_does_not_spoil_8_bit_text() -> None:
    assert decode("Größe".encode(), "utf-16") == "Größe"


def test_the_detector_sees_kana() -> None:
    assert detect_charset("プリンタが動きません".encode("cp932")) == "cp932"
    assert detect_charset("プリンタが動きません".encode("euc_jp")) == "euc_jp"


@given(
    st.binary(max_size=200),
    st.sampled_from([*GREETINGS, "", "hz-gb-2312", "iso-2022-kr", "x-mac-hebrew", "utf-32", "johab"]),
)
def test_any_bytes_have_a_text(content: bytes, label: str) -> None:
    assert isinstance(decode(content, label), str)
    decode(content, label, cut=True)
