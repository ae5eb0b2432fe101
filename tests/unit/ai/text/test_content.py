"""Content of tickets: what quotes, signatures, footers, forms, greetings and politeness leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.ai.text.content import READ, content, content_of, content_of_lines
from tests.growth import MOST, growth

REPORT = "The plotter in the drawing office prints only the left half."


@pytest.mark.parametrize(
    "text",
    [
        f"Hi all,\n{REPORT}\nThanks,\nBo",
        f"Good morning,\n\n{REPORT}\n\nKind regards\n\nBo Falk\nDesign | Falk & Sons Ltd\nT +44 20 7946 0101",
        f"Hallo zusammen,\n{REPORT}\nViele Grüße\nBo",
        f"Bonjour,\n{REPORT}\nMerci d'avance pour votre aide.\nCordialement\nBo Falk",
        f"Buenos días:\n{REPORT}\nUn saludo,\nBo",
        f"Buongiorno,\n{REPORT}\nCordiali saluti\nBo Falk",
        f"Bom dia,\n{REPORT}\nMelhores cumprimentos\nBo",
        f"Beste collega's,\n{REPORT}\nMet vriendelijke groet\nBo",
        f"Dzień dobry,\n{REPORT}\nZ poważaniem\nBo Falk",
        f"I hope this mail finds you well.\n{REPORT}\nI look forward to hearing from you.",
        f"{REPORT}\n\nGet Outlook for Android",
        f"{REPORT}\n-- \nBo Falk\nFalk & Sons",
        f"{REPORT}\n\nOn 4 May 2026 at 10:00, Desk <desk@example.com> wrote:\n> Did you restart the printer?",
        f"{REPORT}\n\nAm 4.5.2026 um 10:00 schrieb Desk:\n> Haben Sie neu gestartet?",
        f"name: Bo Falk\nbrowser: Edge\nphone: 0101\nsummary: {REPORT}",
        f"name:Bo Falk browser:Edge email:bo@example.com summary: {REPORT}",
        f"Name: Jürgen Weiß\nAbteilung: Bürgerbüro\nBeschreibung: {REPORT}",
        f"received from: bo@example.com\n\nhi,\n\n{REPORT}\n\nthanks\nbo",
        f"CAUTION: This email originated from outside the organisation. Do not click links.\n\n{REPORT}",
    ],
)
def test_the_content_of_a_mail_is_its_report(text: str) -> None:
    assert content_of(text) == REPORT


@pytest.mark.parametrize(
    "footer",
    [
        "This message is confidential and intended only for the addressee. If you got it in error, delete it.",
        "Diese Nachricht ist vertraulich und nur für den Empfänger bestimmt. Unbefugte Weitergabe ist nicht gestattet.",
        "Ce courriel est confidentiel et destiné au seul destinataire. Toute diffusion est interdite.",
        "Este correo es confidencial. Si lo recibió por error, avise al remitente y elimínelo.",
        "Questo messaggio è riservato al destinatario. Se ricevuto per errore, cancellarlo.",
        "Esta mensagem é confidencial e destina-se ao destinatário. Se a recebeu por engano, elimine-a.",
        "Dit bericht is vertrouwelijk en bestemd voor de geadresseerde. Verspreiding is niet toegestaan.",
        "Niniejsza wiadomość jest poufna i przeznaczona dla adresata. Kopiowanie jest zabronione.",
        "Bu e-posta gizlidir ve yalnızca alıcı içindir. Yanlışlıkla aldıysanız siliniz.",
        "Please consider the environment before printing this e-mail.",
        "Falk GmbH, Sitz der Gesellschaft: Bonn, Amtsgericht Bonn HRB 12, Geschäftsführer: B. Falk",
    ],
)
@pytest.mark.parametrize("gap", ["\n\n", "\n", " "])
def test_a_footer_weighs_nothing(footer: str, gap: str) -> None:
    if gap == " " and footer.startswith(("Please", "Falk")):
        gap = "\n\n"
    assert content_of(f"{REPORT} It began on Monday.{gap}{footer}") == f"{REPORT} It began on Monday."


@pytest.mark.parametrize(
    "text",
    [
        "I sent a confidential message to the wrong recipient by mistake. Please delete it from the server.",
        "Thanks",
        "Kind regards",
        "The signature of my mails shows the wrong name.",
        "Ich habe eine vertrauliche Mail an den falschen Empfänger geschickt.",
        "Notification Type: PROBLEM\nHost: web7\nDate: 4 May\nTime: 10:00",
        "Unsubscribe does not work on our newsletter page, customers complain.",
    ],
)
def test_a_report_about_such_things_is_content(text: str) -> None:
    assert content_of(text) == text


def test_of_a_forwarded_mail_the_mails_in_it_are_content() -> None:
    mail = f"fyi\n\n-----Original Message-----\nFrom: Bo\nTo: Desk\nSubject: plotter\n\n{REPORT}\nRegards\nBo"
    assert content("FW: plotter", mail) == ("plotter", REPORT)


def test_a_postscript_is_content() -> None:
    assert content_of(f"{REPORT}\nRegards\nBo\nPS: it is urgent today").endswith("PS: it is urgent today")


def test_the_first_line_of_one_text_is_its_title() -> None:
    assert content_of_lines(f"Re: plotter\n{REPORT}") == f"plotter\n{REPORT}"
    assert content_of_lines(f"Hello,\n{REPORT}") == REPORT
    assert content_of_lines("AW: plotter") == "plotter"


@given(st.text(max_size=300), st.text(max_size=600))
def test_a_ticket_with_text_has_content_and_no_content_is_invented(title: str, description: str) -> None:
    found = content(title, description)
    assert bool(found.description) == bool(description.strip())
    assert len(found.description) <= len(description)


@pytest.mark.parametrize(
    "piece",
    [
        "a. ",
        "> a\n",
        "from: a\n",
        "name: ",
        "-- \n",
        "« ",
        "a: b\n",
        "kind regards\n",
        "on 1 ",
        "p.s. ",
        "\n",
        "hi,",
        "this message is confidential ",
    ],
)
def test_extracting_content_takes_linear_time(piece: str) -> None:
    assert growth(lambda text: content.__wrapped__("", text), (piece * READ)[:READ]) < MOST
