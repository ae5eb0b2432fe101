"""Kinds of the lines of a mail: greetings, farewells, thanks, headers of quoted mails, fields of a form, signatures.

The functions take a line and its plain form (``aura.ai.text.normalize.plain``). The phrases are in ``aura.ai.text.lexicons``.
"""

from __future__ import annotations

import re
from functools import cache

from aura.ai.text.lexicons import alternation, lines

#: Words after a farewell or a greeting that may be names.
_NAMES = r"(?:[ ,]+[^\W\d_][\w.'-]{0,30}){0,6}"
#: Addressees, as names in lower case.
_ADDRESSEE = re.compile(
    r"(?:all|team|there|everyone|everybody|folks|guys|support|help ?desk|service ?desk|it|it-team|colleagues?|sirs?|madam|"
    r"zusammen|leute|kolleg\w+|damen|herren|und|and|or|the|an|alle|miteinander|tous|toutes|todos|todas|tutti|equipe|equipo|"
    r"allemaal|collega'?s|panstwo|herr|frau|mr|mrs|ms|dr|sr|sra|m|mme|sig|ict|edv|it-support|hotline|service|hello|hi|a)\b"
)
_PREFIX = re.compile(
    r"^(?:\s*(?:(?:re|fwd?|aw|wg|antw|tr|sv|vs|rif|ref|res|enc|odp|pd|ynt|ilt|doorst|vb)\s?(?:\[\d{1,3}\])?\s?:|"
    r"\[(?:ext|extern|external|ticket|spam|aura|caution|mailing list)[^\]]{0,40}\]|\[[^\]]{0,20}#\d{1,18}\]))+\s*",
    re.IGNORECASE,
)
_FORWARD = re.compile(r"\s*(?:fwd?|wg|tr|rv|enc|pd|vb|doorst|i|ilt)\s?:", re.IGNORECASE)

#: A rule or title above a quoted or forwarded mail.
_TITLE = re.compile(
    r"[-_=*> ]{2,40}\s?(?:(?:begin )?(?:original|forwarded|urspruengliche|weitergeleitete|ursprungliche)[ -]?"
    r"(?:message|mail|nachricht|e-?mail)\w{0,2}( by [^\n]{0,60})?|originalnachricht|message (?:d'origine|transfere|original)|mensaje (?:original|reenviado)|"
    r"messaggio (?:originale|inoltrato)|oorspronkelijk bericht|doorgestuurd bericht|mensagem (?:original|encaminhada)|"
    r"oryginalna wiadomosc|wiadomosc (?:oryginalna|przekazana)|(?:orijinal|iletilen) (?:mesaj|ileti))\s?[-_=* ]{0,40}:?"
    r"|begin forwarded message:|anfang der weitergeleiteten (?:nachricht|e-mail):|debut du message (?:transfere|reexpedie) ?:"
)
_TITLES = (
    *"-_=*>",
    "begin",
    "anfang",
    "debut",
    "original",
    "message",
    "mensa",
    "messaggio",
    "oorspr",
    "doorg",
    "orygin",
    "wiadomosc",
    "orij",
    "ilet",
)
_HEADER = re.compile(
    r"[>*_ \t]{0,6}(?P<name>from|to|cc|bcc|sent|date|subject|reply-to|importance|von|an|kopie|gesendet|datum|betreff|wichtigkeit|"
    r"de|a|envoye|objet|cc|para|enviado(?: el| em)?|asunto|assunto|fecha|data|da|inviato|oggetto|van|aan|verzonden|"
    r"onderwerp|od|do|dw|wyslano|data wyslania|temat|kimden|kime|gonderildi|gonderme tarihi|konu|tarih)[*_]{0,2} ?:[*_]{0,2}\s"
)
#: Headers of a mail: a line that begins with one is no content, even alone.
_SURE_HEADER = re.compile(
    r"[>*_ \t]{0,6}(?:from|to|cc|sent|von|an|gesendet|envoye|inviato|verzonden|wyslano)[*_]{0,2} ?:[*_]{0,2}\s.{0,200}$"
)
_ATTRIBUTION = re.compile(
    r"(?=.{0,300}\d)(?:on|am|le|el|il giorno|il|op|em|den|w dniu|dnia|dne|\d).{0,300}\b(?:wrote|writes|schrieb|geschrieben|a ecrit|escribio|"
    r"ha scritto|schreef|geschreven|escreveu|napisal(?:\(a\)|a)?|pisze|yazdi|skrev)\b.{0,60}:\s*$"
)
_POSTSCRIPT = re.compile(
    r"(?:p\.? ?s\.?|pps|nb|n\.b\.|edit|update|nachtrag|ergaenzung|addendum|post scriptum)\s?[:.,-]?\s"
)
_CONTACT = re.compile(
    r"(?:(?:tel|phone|telephone|telefon|mobile?|mob|handy|cell|fax|direct|office|ext|durchwahl|e-?mail|mail|web|t|m|p|f|e|www|skype|tlf|telefono|cellulare|movil|"
    r"telemovel|komorka|gsm)\.? ?[:.+(0-9]|\+?[\d ()/.-]{7,22}$|https?://|www\.|[\w.+-]{1,64}@[\w.-]{3,100}$|.{0,60}\b(?:gmbh|ltd|limited|inc|llc|plc|ag|se|kg|"
    r"s\.?a\.?s?|s\.?r\.?l|s\.?p\.?a|b\.?v|n\.?v|sp\. ?z ?o\.? ?o|oy|ab|a/s)\b\.?(?:[ ,&|].{0,60})?$|.{0,80}\b\d{4,5}\b [^\W\d_].{0,40}$|.{2,60}\|.{2,80}$)"
)
_JOB = re.compile(
    r"\b(?:manager|director|engineer|assistant|officer|head of|team lead\w*|specialist|analyst|consultant|coordinator|administrator|"
    r"accountant|secretary|executive|department|abteilung|leiter(?:in)?|leitung|sachbearbeit\w+|referent(?:in)?|assistenz|vertrieb|buchhaltung|"
    r"responsable|directeur|directrice|service|jefe|directora?|responsabile|ufficio|gerente|medewerker|afdeling|kierownik|dzial|specjalista|intern|trainee|ceo|cto|cfo|coo)\b"
)


@cache
def _pattern(name: str, ending: str) -> re.Pattern[str]:
    return re.compile(f"(?:{alternation(lines(name))}){ending}")


def without_prefix(title: str) -> str:
    """Return a title without the prefixes of replies and forwarded mails and the tags of mail gateways."""
    found = _PREFIX.match(title)
    return title[found.end() :] if found and found.end() < len(title) else title


def is_forward(title: str) -> bool:
    """Return whether a title is that of a forwarded mail."""
    return _FORWARD.match(title) is not None


def without_greeting(line: str, plain: str) -> str:
    """Return the line without a greeting at its beginning, empty if it is one.

    `plain` may be longer than the line, because umlauts are spelled out; the end is found in the line.
    """
    found = _pattern("greetings.txt", r"\b(?P<rest>[^,!.:?\n–—-]{0,60})(?P<end>[,!.:–—-]*)\s*").match(plain)
    if found is None:
        return line
    names, end = found["rest"].split(), found["end"]
    whole = found.end() == len(plain)
    if len(names) > 7 or not (end or whole or names):
        return line
    if end and end != "-":
        if whole:
            return ""
        if len(names) > 5:
            return line
        mark = re.search(rf"[{re.escape(end[0])}]", line)
        return line[mark.end() :].lstrip(" \t,!.:–—-") if mark else line
    # without punctuation only names and known addressees belong to it
    taken = 0
    originals = line.split()
    first = len(originals) - len(names)
    for place, name in enumerate(names):
        if _ADDRESSEE.match(name) or (whole and len(names) <= 3 and originals[first + place][:1].isupper()):
            taken += 1
        else:
            break
    if whole and taken == len(names):
        return ""
    return " ".join(originals[first + taken :]) if taken and first >= 0 and not whole else line


def is_farewell(plain: str) -> bool:
    """Return whether a line is a farewell, with or without a name after it."""
    return (
        len(plain) < 120 and _pattern("farewells.txt", rf"[,.!*_]*(?:{_NAMES})?[ ,.!:)*_-]*$").match(plain) is not None
    )


def is_thanks(plain: str) -> bool:
    """Return whether a line is thanks, with or without a name after it."""
    return (
        len(plain) < 80
        and _pattern(
            "thanks.txt",
            r"(?: (?:very much|so much|a lot|a million|in advance|again|all|im voraus|vorab|schon ?mal|sehr|d'avance|par avance|beaucoup|"
            r"de antemano|por adelantado|in anticipo|mille|desde ja|bij voorbaat|alvast|z gory|bardzo|and|und|et|y|e|en|i))*"
            r"[,.!;]*(?:\s?(?:(?:and|und|et|y|e|en|&|\+) )?(?:(?:kind |best |warm )?regards|(?:viele |beste |liebe |schoene )?gruesse|gruss|lg|vg|saludos|saluti|cheers))?"
            r"(?:[ ,]+[^\W\d_][\w.'-]{0,20}){0,2}[ ,.!:;)-]*$",
        ).match(plain)
        is not None
    )


#: First words of the sentences of politeness; looking one up is quicker than matching.
_POLITE = frozenset(
    [
        "i",
        "hope",
        "really",
        "sincerely",
        "thank",
        "thanks",
        "many",
        "thx",
        "we",
        "would",
        "greatly",
        "very",
        "your",
        "am",
        "are",
        "look",
        "looking",
        "please",
        "do",
        "don't",
        "feel",
        "let",
        "should",
        "if",
        "could",
        "can",
        "will",
        "kindly",
        "any",
        "all",
        "it",
        "this",
        "ich",
        "wir",
        "hoffe",
        "hoffen",
        "vielen",
        "besten",
        "herzlichen",
        "tausend",
        "lieben",
        "schon",
        "schonmal",
        "danke",
        "ueber",
        "fuer",
        "bei",
        "etwaige",
        "melden",
        "meldet",
        "melde",
        "bitte",
        "koennen",
        "koennten",
        "kann",
        "koennte",
        "koenntet",
        "koennt",
        "wuerden",
        "siehe",
        "s",
        "s.",
        "see",
        "pls",
        "refer",
        "fyi",
        "for",
        "zur",
        "z",
        "z.",
        "pour",
        "para",
        "per",
        "ter",
        "wuensche",
        "have",
        "wish",
        "wishing",
        "einen",
        "schoenen",
        "angenehmen",
        "guten",
        "j'espere",
        "nous",
        "je",
        "en",
        "dans",
        "restant",
        "n'hesitez",
        "merci",
        "pouvez",
        "pouvez-vous",
        "pourriez",
        "pourriez-vous",
        "veuillez",
        "espero",
        "esperamos",
        "muchas",
        "gracias",
        "quedo",
        "quedamos",
        "no",
        "podrian",
        "pueden",
        "puede",
        "podria",
        "podeis",
        "a",
        "spero",
        "speriamo",
        "grazie",
        "ringrazio",
        "ringraziamo",
        "vi",
        "la",
        "resto",
        "restiamo",
        "rimango",
        "rimaniamo",
        "non",
        "in",
        "potete",
        "potreste",
        "puo",
        "potrebbe",
        "muito",
        "obrigado",
        "obrigada",
        "agradeco",
        "agradecemos",
        "grato",
        "grata",
        "fico",
        "ficamos",
        "aguardo",
        "aguardamos",
        "podem",
        "pode",
        "poderiam",
        "ik",
        "wij",
        "alvast",
        "hartelijk",
        "bedankt",
        "dank",
        "mocht",
        "mochten",
        "voor",
        "kunt",
        "kun",
        "kunnen",
        "mam",
        "mamy",
        "bardzo",
        "serdecznie",
        "dziekuje",
        "dziekujemy",
        "dzieki",
        "w",
        "czekam",
        "czekamy",
        "oczekuje",
        "prosze",
        "prosimy",
        "czy",
        "moze",
        "moga",
        "mozecie",
        "mogliby",
        "simdiden",
        "yardiminiz",
        "ilginiz",
        "yardiminizi",
        "yardimlarinizi",
        "geri",
        "donusunuzu",
        "desteginizi",
        "sollten",
        "someone",
        *[
            "any",
            "some",
            "still",
            "is",
            "are",
            "have",
            "gibt",
            "gibts",
            "habt",
            "haben",
            "ist",
            "y",
            "avez-vous",
            "hay",
            "tienen",
            "ci",
            "avete",
            "zijn",
            "sa",
            "macie",
        ],
        "somebody",
    ]
)


def is_politeness(plain: str) -> bool:
    """Return whether a sentence is politeness without content."""
    if len(plain) > 200:
        return False
    bare = plain.strip(" .!,;:?-)*")
    return bare.partition(" ")[0].rstrip(",") in _POLITE and _pattern("politeness.txt", r"$").match(bare) is not None


def is_title_of_quote(plain: str) -> bool:
    """Return whether a line stands above a quoted or forwarded mail: "-----Original Message-----", "On ..., Ann wrote:"."""
    return (plain.startswith(_TITLES) and _TITLE.match(plain) is not None) or (
        plain.endswith(":") and _ATTRIBUTION.match(plain) is not None
    )


def header_name(plain: str) -> str:
    """Return the name of the header that a line begins with ("from"), empty if it is none."""
    found = _HEADER.match(plain + " ")
    return found["name"] if found else ""


def is_sure_header(plain: str) -> bool:
    """Return whether a line is a header of a mail without any other one beside it."""
    return _SURE_HEADER.match(plain + " ") is not None


def is_postscript(plain: str) -> bool:
    """Return whether a line below a signature belongs to the text."""
    return _POSTSCRIPT.match(plain) is not None


def is_signature_line(line: str, plain: str) -> bool:
    """Return whether a line below thanks is one of a signature: a name, a position, a company, contact data."""
    if len(plain) > 120:
        return False
    if _CONTACT.match(plain):
        return True
    parts = line.replace("|", " ").replace(",", " ").split()
    if len(parts) <= 2 and plain.replace(" ", "").isalpha():
        return True
    if (
        len(parts) <= 4
        and all(part[:1].isupper() or not part[:1].isalpha() for part in parts)
        and plain[-1:] not in "?!"
    ):
        return True
    return len(parts) <= 8 and plain[-1:] not in ".?!" and _JOB.search(plain) is not None


# -- forms ---------------------------------------------------------------------------------------------------------------


@cache
def _labels() -> dict[str, bool]:
    """Return the labels of forms and whether their field holds the problem."""
    found: dict[str, bool] = {}
    for line in lines("form_labels.txt"):
        kind, _, rest = line.partition(" ")
        for label in rest.split(","):
            found.setdefault(label.strip(), kind == "keep")
    return found


@cache
def _label_pattern() -> re.Pattern[str]:
    # longer labels first, because "user id" begins with "user"
    names = sorted(_labels(), key=len, reverse=True)
    return re.compile(
        rf"(?:(?<=\s)|(?<=[;|*,])|^)(?:ihre?|your|my|mein\w?|votre|su|uw)?\s?(?P<label>{'|'.join(map(re.escape, names))})[*_]{{0,2}}\s?[:=](?!//)[*_]{{0,2}}\s?"
    )


def labels(plain: str) -> list[tuple[int, int, bool]]:
    """Return start and end of each label of a form in a line, and whether its field holds the problem."""
    if ":" not in plain and "=" not in plain:
        return []
    return [(found.start(), found.end(), _labels()[found["label"]]) for found in _label_pattern().finditer(plain)]
