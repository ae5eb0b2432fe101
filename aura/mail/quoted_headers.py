"""Recognises the header block that mail programs write above a quoted or forwarded mail (From, Sent, To, Subject).

The fields may come in any order, in any of FIELDS' languages, with blank lines between them. Public lists of such labels:
quotequail (Close), talon (Mailgun), email_reply_trimmer (Discourse).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Labels of each field, in lower case, separated by |.
FIELDS = {
    "from": "from|von|de|da|van|od|от|от кого|від|від кого|från|fra|lähettäjä|发件人|發件人|寄件者|寄件人|差出人|"
    "送信者|expéditeur|mittente|"
    "remitente|remetente|afzender|kimden|gönderen|feladó|odesílatel|odosielateľ|expeditor|보낸 사람|보낸사람|από|từ|"
    "nuo|no|saatja|"
    "pošiljatelj|šalje|dari|จาก|מאת|من",
    "to": "to|an|à|a|para|aan|do|кому|до|till|til|vastaanottaja|收件人|收件者|宛先|komu|kime|destinataire|destinatario|címzett|"
    "către|catre|pour|받는 사람|받는사람|προς|đến|kam|adressaat|za|prima|kepada|ถึง|אל|إلى|الى",
    "cc": "cc|kopie|kopia|kopi|копия|копія|抄送|副本|copie|copie à|cópia|copia|bcc|dw|kopio|참조|κοιν|bilgi|"
    "másolatot kap|kópia|kópie",
    "date": "date|sent|datum|gesendet|envoyé|envoyé le|enviado|enviado el|enviada em|enviado em|inviato|inviata|verzonden|"
    "wysłane|wysłano|отправлено|дата|надіслано|изпратено|skickat|sendt|lähetetty|发送时间|發送時間|发送日期|日期|時間|"
    "时间|寄件日期|"
    "送信日時|日付|data|fecha|dato|päiväys|päivämäärä|odesláno|odoslané|gönderme tarihi|gönderildi|gönderim tarihi|"
    "tarih|elküldve|"
    "trimis|보낸 날짜|날짜|αποστολή|απεστάλη|στάλθηκε|ngày|đã gửi|išsiųsta|nosūtīts|saadetud|saatmisaeg|poslano|"
    "dikirim|ส่ง|วันที่|נשלח|"
    "תאריך|تم الإرسال|أرسلت|التاريخ|gesendet am|date d'envoi",
    "subject": "subject|betreff|objet|asunto|oggetto|onderwerp|assunto|temat|тема|относно|ämne|emne|aihe|主题|主題|"
    "主旨|件名|předmět|"
    "predmet|konu|tárgy|subiect|제목|θέμα|chủ đề|sujet|tema|tēma|teema|zadeva|subjek|เรื่อง|נושא|الموضوع",
    "other": "reply-to|replyto|antwort an|importance|attachments|anlagen|priority|priorität|wichtigkeit",
}
_KINDS = {label: kind for kind, labels in FIELDS.items() for label in labels.split("|")}
_FIELD = re.compile(r"[*_]{0,2}([^\W\d_][\w' -]{0,24}?)[*_]{0,2}\s{0,3}[:：][*_]{0,2}\s?(.{0,600})")
#: eM Client writes no colons, below a title between dashes.
_FIELD_WITHOUT_COLON = re.compile(r"([^\W\d_]{1,24}) (.{1,600})")
_BETWEEN_DASHES = re.compile(r"-{3,}\s?[^\W\d_].{3,40}?\s?-{3,}")
ADDRESS = re.compile(r"[^\s<>()\[\]\",;:]{1,64}@[^\s<>()\[\]\",;:]{1,190}")
#: Lines, and blank lines between two fields, of the longest block.
MAX_LINES, MAX_BLANK = 30, 2


@dataclass(slots=True)
class HeaderBlock:
    """The fields of a quoted mail, by kind, and the number of the line after it."""

    end: int
    values: dict[str, str] = field(default_factory=dict)

    @property
    def sender_address(self) -> str:
        """The address in From, in lower case, or ""."""
        found = ADDRESS.search(self.values.get("from", ""))
        return found[0].strip(".'").lower() if found else ""

    @property
    def sender_name(self) -> str:
        """The display name in From, or ""."""
        return re.split(r"[<\[(]|mailto:", ADDRESS.sub("", self.values.get("from", "")), maxsplit=1)[0].strip(
            " \t\"'*;,"
        )


def field_of(line: str, colon: bool = True) -> tuple[str, str] | None:
    """Return kind and value of a line that is a header field of a quoted mail, else None."""
    match = (_FIELD if colon else _FIELD_WITHOUT_COLON).fullmatch(line.strip()[:700])
    kind = _KINDS.get(match[1].strip().lower()) if match else None
    return (kind, match[2].strip()) if match and kind else None


def header_block(lines: Sequence[str], at: int) -> HeaderBlock | None:
    """Return the block of headers that begins at this line: From with two of Date, To and Subject; else None."""
    colon = not (at and _BETWEEN_DASHES.fullmatch(lines[at - 1].strip()[:100]) and field_of(lines[at]) is None)
    if field_of(lines[at], colon) is None:
        return None
    block, last, blank, gaps = HeaderBlock(at), "", 0, 0
    for number in range(at, min(at + MAX_LINES, len(lines))):
        line = lines[number].strip()
        found = field_of(line, colon)
        if found is not None and found[0] not in block.values:
            block.values[found[0]], last, blank = found[1], found[0], 0
            block.end = number + 1
        elif not line and blank < MAX_BLANK:
            blank, gaps = blank + 1, gaps + 1
        elif found is not None and gaps:
            return None  # a field twice: the block begins after a gap
        elif not blank and last in ("to", "cc") and "@" in line and found is None:
            block.end = number + 1  # a wrapped list of addresses
        else:
            break
    kinds = block.values.keys()
    return block if "from" in kinds and len(kinds & {"date", "to", "subject"}) >= 2 else None
