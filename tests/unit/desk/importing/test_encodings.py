"""Encodings of files: names and detection."""

from __future__ import annotations

import time

import pytest

from aura.desk.importing.encodings import Detector, codec_named, detect

TEXTS = [
    ("cp1252", "Drucker für Büro;Tür öffnet nicht, 5 € Größe"),
    ("cp1252", "Le réseau est coupé à l’étage;déjà signalé"),
    ("cp1252", "El ratón no funciona;¿mañana por la mañana?"),
    ("cp1252", "„Hallo“ – das geht nicht…"),
    ("cp850", "Drucker für Büro;Tür öffnet nicht, Übung"),
    ("cp850", "Das Gerät läuft nicht;hört auf"),
    ("mac-roman", "Imprimante cassée à l'étage;très gênant"),
    ("mac-roman", "Drucker für Büro;Tür öffnet nicht, Größe"),
    ("iso8859-15", "Drucker für Büro;Tür öffnet nicht, 5 € Größe"),
    ("cp1250", "Tiskárna nefunguje;Příliš žluťoučký kůň úpěl ďábelské ódy"),
    ("cp1251", "Принтер на третьем этаже не печатает;уже час"),
    ("koi8-r", "Принтер на третьем этаже не печатает;уже час"),
    ("cp932", "プリンタが動きません;三階のプリンタが紙詰まりです"),
    ("gb18030", "打印机卡纸，请尽快处理;三楼的打印机不工作了"),
    ("cp949", "프린터가 작동하지 않습니다;삼층 프린터"),
    ("big5", "印表機卡紙，請盡快處理;三樓的印表機不工作了"),
    ("cp1253", "Ο εκτυπωτής δεν λειτουργεί;Παρακαλώ βοηθήστε"),
    ("cp1254", "Yazıcı çalışmıyor;Lütfen yardım edin, şifre değiştirme"),
    ("utf-8", "Drucker für Büro, プリンタ, Принтер"),
    ("utf-8-sig", "Drucker für Büro"),
    ("utf-16", "Drucker für Büro\tПринтер"),
    ("utf-16-le", "Subject\tDrucker für Büro"),
    ("utf-16-be", "Subject\tDrucker für Büro"),
    ("utf-32", "Drucker für Büro"),
    ("ascii", "Printer"),
]


def decode(content: bytes) -> str:
    codec, mark = detect(content)
    return content[mark:].decode(codec, "replace")


@pytest.mark.parametrize(("codec", "text"), TEXTS)
def test_a_file_is_decoded_by_its_content(codec: str, text: str):
    table = f"Subject;Description\r\n{text}\r\n"

    assert decode(table.encode(codec)) == table


@pytest.mark.parametrize(("codec", "text"), TEXTS)
def test_the_size_of_the_chunks_does_not_matter(codec: str, text: str):
    content = f"Subject;Description\r\n{text}\r\n".encode(codec)
    detector = Detector()
    for at in range(len(content)):
        detector.feed(content[at : at + 1])

    assert detector.result() == detect(content)


def test_a_wrong_byte_in_utf_8_costs_one_character():
    content = "Принтер, Büro\n".encode() * 3 + b"caf\xe9 \xff"

    assert decode(content) == "Принтер, Büro\n" * 3 + "caf\ufffd \ufffd"


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("latin1", "cp1252"),
        ("ISO-8859-1", "cp1252"),
        ("utf8", "utf-8"),
        ("gb2312", "gb18030"),
        ("x-sjis", "cp932"),
        ("ks_c_5601-1987", "cp949"),
        ("windows-874", "cp874"),
        ("cp850", "cp850"),
        ("utf-16", "utf-16-le"),
    ],
)
def test_a_label_stands_for_the_superset_that_senders_mean(label: str, codec: str):
    assert codec_named(label) == codec


@pytest.mark.parametrize("label", ["", "klingon", "base64", "rot13", "zlib", "x" * 10_000, "utf\0", "ünï"])
def test_an_unknown_label_is_none(label: str):
    assert codec_named(label) is None


def test_detection_takes_linear_time():
    def seconds(size: int) -> float:
        content = ("ä" * 50 + "\n").encode("cp1252") * size
        return min(_timed(content) for _ in range(3))

    def _timed(content: bytes) -> float:
        start = time.process_time()
        detect(content)
        return time.process_time() - start

    assert seconds(40_000) < 8 * seconds(10_000) + 0.05
