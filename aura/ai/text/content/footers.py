"""Recognises legal footers: confidentiality statements, disclaimers, company data, privacy statements, banners of mail gateways.

Wordings differ, their statements do not: the lexicon has phrases for each statement in nine languages. A statement alone is no
footer ("I sent a confidential file to the wrong recipient by mistake"): a paragraph needs several, and no author in it.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import groupby

from aura.ai.text.lexicons import alternation, lines

#: Statements of a footer, and of a footer below another one.
STATEMENTS = 2
#: Statements that need no second one in a line of their own.
_ALONE = frozenset({"paper", "device", "origin", "firm"})
#: Characters of the longest line that is a footer by one statement.
_SHORT = 200
#: The author speaks: no footer. "We" speaks for the company.
_AUTHOR = re.compile(
    r"\b(?:i|i'm|i've|my|me|ich|mein\w{0,2}|mir|mich|je|j'ai|mon|ma|yo|mi|mio|mia|ho|eu|meu|minha|ik|mijn|moj\w{0,2}|mam|mnie|ben|benim)\b"
)
_DEVICE_OF_AUTHOR = re.compile(r"\b(?:sent|get|gesendet|von|envoye|enviado|inviato|verzonden|verstuurd|wyslan[eo])\b")


@cache
def _statements() -> list[tuple[str, re.Pattern[str]]]:
    rows = sorted((line.partition(" ") for line in lines("footers.txt")), key=lambda row: row[0])
    return [
        (kind, re.compile(alternation([pattern for _, _, pattern in group])))
        for kind, group in groupby(rows, key=lambda row: row[0])
    ]


#: Texts of which each footer has one; searching for them is quicker.
_MARKS = (
    *(
        "confiden",
        "privileged",
        "vertrau",
        "geheimhalt",
        "riservat",
        "poufn",
        "gizli",
        "konfident",
        "fortrolig",
        "duvern",
        "bizalmas",
    ),
    *(
        "intended",
        "addressee",
        "adressat",
        "destinat",
        "geadresseerde",
        "adresat",
        "alici",
        "mottagar",
        "modtager",
        "luottamuks",
    ),
    *(
        "in error",
        "by mistake",
        "irrtuemlich",
        "par erreur",
        "por err",
        "por eng",
        "per errore",
        "ten onrechte",
        "abusiev",
        "omylk",
    ),
    *(
        "disclos",
        "unauthori",
        "prohibit",
        "untersagt",
        "nicht gestattet",
        "interdit",
        "prohib",
        "vietat",
        "proibid",
        "zabron",
    ),
    *("the sender", "absender", "expediteur", "remitente", "mittente", "remetente", "afzender", "nadawc", "gonderen"),
    *(
        "liab",
        "haft",
        "responsabi",
        "aansprak",
        "odpowiedzialn",
        "sorumlu",
        "virus",
        "viren",
        "opinion",
        "free of",
        "warrant",
    ),
    *(
        "environment",
        "umwelt",
        "before print",
        "you print",
        "drucken",
        "imprim",
        "stampare",
        "milieu",
        "wydruk",
        "yazdirma",
        "ambiente",
    ),
    *(
        "registered",
        "company no",
        "company reg",
        "vat ",
        "incorporated",
        "place of business",
        "trade reg",
        "chamber of",
        "limited",
    ),
    *(
        "geschaeftsf",
        "vorstand",
        "aufsichtsrat",
        "sitz",
        "amtsgericht",
        "register",
        "hrb",
        "hra ",
        "ust-",
        "ustid",
        "steuernummer",
    ),
    *(
        "siren",
        "siret",
        "rcs",
        "capital",
        "registro merc",
        "iva",
        "sede legale",
        "nipc",
        "cnpj",
        "kvk",
        "btw",
        "krs",
        "regon",
        "sicil",
    ),
    *(
        "privacy",
        "data protection",
        "datenschutz",
        "gdpr",
        "dsgvo",
        "rgpd",
        "politique de conf",
        "proteccion de",
        "rodo",
        "kvkk",
    ),
    *(
        "extern",
        "outside",
        "on links",
        "any link",
        "klicken sie",
        "cliqu",
        "haga clic",
        "clicca",
        "klik niet",
        "klikaj",
        "often get",
    ),
    *(
        "sent from",
        "sent via",
        "sent with",
        "get outlook",
        "gesendet",
        "envoye ",
        "enviado",
        "inviato d",
        "verzonden",
        "verstuurd",
    ),
    *(
        "wyslan",
        "iphone'",
        "telefonumdan",
        "skickat fran",
        "sendt fra",
        "avast",
        "scanned",
        "unsubscribe",
        "abmelden",
        "newsletter",
    ),
    *(
        "vertrouwelijk",
        "p.iva",
        "n.i.f",
        "c.i.f",
        "esterno",
        "important",
    ),
)


def may_have_footer(plain: str) -> bool:
    """Return whether a plain text has a word of footers."""
    return any([mark in plain for mark in _MARKS])


def statements(plain: str) -> frozenset[str]:
    """Return the statements of legal footers in a plain text of one paragraph or sentence."""
    return frozenset([kind for kind, pattern in _statements() if pattern.search(plain)])


def is_footer(plain: str, below_footer: bool = False) -> bool:
    """Return whether a paragraph, in plain text, is a legal footer; below another one a single statement makes it one."""
    found = statements(plain)
    if not found:
        return False
    if "device" in found and len(plain) < 100 and _DEVICE_OF_AUTHOR.match(plain):
        return True
    if _AUTHOR.search(plain) and len(found) < 4:
        return False
    if below_footer or (len(plain) < _SHORT and not found.isdisjoint(_ALONE) and _only(plain, found)):
        return True
    return len(found - {"message"}) >= STATEMENTS


def _only(plain: str, found: frozenset[str]) -> bool:
    """Return whether a short line says nothing else: banners and company data have few verbs of reports."""
    return "firm" not in found or plain.count(" ") < 25


def is_banner(plain: str) -> bool:
    """Return whether a line above a text is one that a mail gateway adds: "This message came from outside"."""
    return "origin" in statements(plain) and not _AUTHOR.search(plain)
