"""Recognises signatures below a reply: "-- " with a name, and the lines that phones and mail programs add."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

#: Lines of the longest signature.
MAX_LINES = 12
_DEVICE = (
    r"(?:iphon|ipad|ipod|samsung|galaxy|android|blackberry|windows|outlook|gmail|yahoo|orange|mailbox|huawei|xiaomi|"
    r"htc|nokia|oneplus|pixel|"
    r"mobile|smartphone|phone|handy|mobiltelefon|mobilgerät|móvil|telefone|celular|cellulare|telefoon|telefonu|"
    r"telefon|mobil|gmx|web\.de|"
    r"proton ?mail|mail\.ru|яндекс|почты|айфон|aol|zoho|spark|k-9|fairemail|thunderbird|mail for)"
)
_PREFIX = (
    r"(?:sent (?:from|with|using|via)|get outlook for|gesendet (?:von|mit|über|aus)|von meinem|diese nachricht wurde|"
    r"envoyé (?:de|depuis|à partir)|"
    r"enviado (?:desde|do|de|con)|inviato (?:da|con)|verzonden (?:vanaf|met|via)|verstuurd (?:vanaf|met)|wysłan[eo] (?:z|za)|"
    r"отправлено (?:с|из)|надіслано з|skickat från|skickades från|sendt fra|lähetetty|odesláno z|"
    r"iphone'?umdan|发自|發自|iphone\s?から|"
    r"télécharger outlook|outlook für|obtener outlook|scarica outlook)"
)
#: Languages that name the device first, and lines that look like sentences.
_WHOLE = (
    r"sent from my verizon, samsung .{0,40}|yahoo mail: search, organize, conquer|"
    r"나의 (?:iphone|ipad|galaxy|아이폰|갤럭시).{0,20}에서 보냄|iphone'?umdan gönderildi"
)
_APP = re.compile(rf"(?=.{{0,90}}{_DEVICE}){_PREFIX}.{{0,90}}", re.IGNORECASE)
_APP_LINE = re.compile(rf"(?:{_WHOLE})\W{{0,3}}", re.IGNORECASE)
#: Words of people, not of programs: "Sent from my old phone by accident, please ...".
_PERSONAL = re.compile(
    r"[,?!]|\.\s|\b(?:please|bitte|because|weil|accident|mistake|today|yesterday|gestern|old|alten?)\b", re.IGNORECASE
)
_PHONE = re.compile(r"(?:\+|\b0)[\d ()/.-]{6,20}\d")
_CONTACT = re.compile(r"[\w.+-]{1,64}@[\w.-]{3,190}|https?://|www\.")


def strip_signature(lines: Sequence[str], author: Collection[str] = ()) -> list[str]:
    """Return the lines without a signature at their end; `author` holds words of the author's name and address.

    A line "--" begins a signature only when a name follows, since people also separate paragraphs with it.
    """
    rest = list(lines)
    _strip_blank(rest)
    while rest and (_is_app_line(rest[-1]) or (len(rest) < len(lines) and rest[-1].strip() == "--")):
        rest.pop()
        _strip_blank(rest)
    for at in range(len(rest) - 1, max(len(rest) - MAX_LINES - 2, -1), -1):
        if rest[at].strip() == "--" and _names_author([each for each in rest[at + 1 :] if each.strip()], author):
            del rest[at:]
            break
    _strip_blank(rest)
    while rest and _is_app_line(rest[-1]):
        rest.pop()
        _strip_blank(rest)
    return rest


def _strip_blank(lines: list[str]) -> None:
    while lines and not lines[-1].strip():
        lines.pop()


def _is_app_line(line: str) -> bool:
    text = line.strip(" \t*_")
    if len(text) <= 100 and _APP_LINE.fullmatch(text):
        return True
    return (
        len(text) <= 160 and bool(_APP.match(text)) and not _PERSONAL.search(re.sub(r"<[^<>]*>|web\.de|\.$", "", text))
    )


def _names_author(lines: Sequence[str], author: Collection[str]) -> bool:
    if not lines or len(lines) > MAX_LINES:
        return False
    words = [word.strip(".,()").casefold() for word in lines[0].split()]
    if len(words) > 6 or lines[0].rstrip().endswith((".", "!", "?", ":")):
        return False
    if any(word in author for word in words):
        return True
    # without the author's name: a name in capitals above a telephone number or an address
    capitals = 1 < len(words) <= 4 and all(word[:1].isupper() for word in lines[0].split())
    return capitals and any(_PHONE.search(line) or _CONTACT.search(line) for line in lines[1:])
