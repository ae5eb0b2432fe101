"""Detector of passwords, keys and codes in the forms of commands, tables, addresses, headers and sentences.

    curl -u admin:Welcome1    sshpass -p hunter2    net use Z: /user:jdoe Welcome1    Cookie: session=8f3a...
    "Sommer2026! is my password"    2FA code 492 113    WLAN-Schlüssel: 73829104772    cvv 123

Each form has the words that every text with it contains; searching for these is quicker than for the form. No library does this:
scanners of source code (detect-secrets, gitleaks) know tokens and assignments, not sentences and German.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from aura.ai.text.lexicons import words
from aura.ai.text.masking.span import Span

_STOP_WORDS = words("stop_words.txt") | words("words_after_password.txt") | {"please", "bitte", "thanks", "danke"}
_QUOTED = r"\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|`[^`\n]{1,200}`|[„“‚‘«»][^“”‘’«»\n]{1,200}[“”‘’«»]"
_PASSWORD = r"(?:pass(?:word|wort|wd|phrase|code)|kennwort|wachtwoord|contraseña|mot de passe|pwd|pin|login)"
#: Words after a name of a password that make it another thing.
_OTHER_THING = r"(?![ -]?(?:manager|safe|vault|tresor|reset|policy|polic|richtlinie|tool|hint|hinweis|field|feld|screen|page|seite))"


def _digit(value: str) -> bool:
    return any(char.isdigit() for char in value)


def _mixed(value: str) -> bool:
    """Return whether a value has letters and digits or signs, and is no asset, version, date or address."""
    value = value.strip("\"'`.,;:()„“”")
    if len(value) < 4 or re.fullmatch(r"[A-Z]{1,5}[-_]?\d+[A-Z]?|\d+[A-Za-z]{1,3}|v?\d+(?:[.:/-]\d+)+\w?", value):
        return False
    return any(char.isalpha() for char in value) and (_digit(value) or any(char in "!$%&?#*+^~=" for char in value[1:]))


def _strong(value: str) -> bool:
    """Return whether a value has capital and small letters and digits, or letters, digits and signs."""
    value = value.strip("\"'`.,;:()„“”") if value[-1:] not in "!?" else value
    if len(value) < 6 or not _mixed(value):
        return False
    capitals = value != value.lower() and value != value.upper()
    return _digit(value) and (capitals or any(char in "!$%&?#*+^~" for char in value[1:]))


def _quoted_or_mixed(value: str) -> bool:
    return value[:1] in "\"'`„“‚‘«»" or _mixed(value)


def _no_plain_word(value: str) -> bool:
    return value.strip("\"'`.,;:()").lower() not in _STOP_WORDS and len(value) > 3


def _no_sentence(value: str) -> bool:
    """Return whether words are a passphrase: no word of them is one of sentences."""
    return not any([word.strip(".,;:!?").lower() in _STOP_WORDS for word in value.split()[1:]])


def _passphrase(value: str) -> bool:
    """Return whether words after "passphrase is" are one: quoted, or not two words of sentences at their beginning."""
    return value[:1] in "\"'`„“" or not _STOP_WORDS.issuperset(value.lower().split()[:2])


def _strong_with_sign(value: str) -> bool:
    return _strong(value) and any(char in "!$%&?#*+^~" for char in value)


def _capital_and_digit(value: str) -> bool:
    value = value.strip("\"'`.,;:()!?")
    return _digit(value) and value != value.lower() and any(char.islower() for char in value)


def _any(value: str) -> bool:
    return bool(value)


class _Form(NamedTuple):
    """A form, the words of which every text with it has one, what its value has to be, and the kind."""

    stems: tuple[str, ...]
    pattern: re.Pattern[str]
    accept: Callable[[str], bool] = _any
    kind: str = "password"


def _form(stems: str, pattern: str, accept: Callable[[str], bool] = _any, kind: str = "password") -> _Form:
    return _Form(tuple(stems.split("|")), re.compile(pattern, re.IGNORECASE | re.MULTILINE), accept, kind)


_BLANK = r"[ \t]{0,10}"
_GAP = r"[ \t]{1,10}"
_KEYS = (
    r"(?:bitlocker|recovery|wiederherstellungs?|wlan|wi-?fi|wpa[23]?|wep|netzwerk(?:sicherheits)?|network|hotspot|router|licen[cs]e|lizenz|"
    r"product|produkt|activation|aktivierungs|freischalt|encryption|verschlüsselungs|account|storage|shared|shared ?access|master|signing|"
    r"webhook|subscription|function|backup|emergency|notfall|unlock|entsperr|escrow|admin|root|d[o]or|tür|alarm)"
)
_CODES = (
    r"(?:2fa|mfa|2-?factor|two-?factor|otp|totp|i?tan|sms|verification|verifizierungs|bestätigungs|authenticator|authentication|auth|security|"
    r"sicherheits|one-?time|einmal|login|log-?in|sign-?in|anmelde|backup|recovery|wiederherstellungs?|access|zugangs|unlock|entsperr|pairing|"
    r"kopplungs|duo|okta|d[o]or|gate|alarm|tür|haus|safe|lock|schließfach)"
)
_IS = rf"(?:{_GAP}(?:is|are|was|ist|sind|war|lautet|lauten|hei(?:ß|ss)t|from|von|for|für|me|us)){{0,2}}{_BLANK}(?:->|=>|[:=#])?{_BLANK}"
_HEADER_VALUE = r"[^\s;,]{3,400}"

_FORMS = (
    # -- keys
    _Form(
        ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
        re.compile(r"(?<![\d-])(\d{6}(?:[- ]\s?\d{6}){3,7})(?![\d])"),
        _any,
        "secret",
    ),
    _Form(
        ("-",),
        re.compile(r"(?<![\w-])((?=[A-Z0-9-]{0,40}\d)[A-Z0-9]{4}(?:-[A-Z0-9]{4}){4,7})(?![\w-])"),
        _any,
        "secret",
    ),
    _form(
        "key|schl|code|psk|secret",
        rf"(?<![^\W_]){_KEYS}[ _-]?(?:security[ _-]?)?(?:key|psk|schl(?:ü|ue)ssel|code|secret)s?{_IS}(?P<value>{_QUOTED}|[^\s,;]{{6,200}}(?:[- ]\d{{4,6}}){{0,8}})",
        lambda value: _digit(value) and not value.lower().startswith(("http", "\\\\")),
        "secret",
    ),
    _form(
        "totp|2fa|mfa|otp|authenticator",
        rf"(?<![^\W_])(?:t?otp|2fa|mfa|authenticator)[ _-]?(?:seed|secret|key|schl(?:ü|ue)ssel){_IS}(?P<value>[a-z2-7]{{4,64}}(?:[ -][a-z2-7]{{4}}){{0,12}})",
        lambda value: len(value) >= 12,
        "secret",
    ),
    _form(
        "laps", rf"(?<![^\W_])laps(?:[ -]?(?:password|passwort|kennwort))?{_BLANK}[:=]{_BLANK}(?P<value>\S{{1,100}})"
    ),
    _form(
        "pass|kennwort|pwd",
        rf"(?:password|passwort|kennwort|pwd|pw){_GAP}(?:from|von){_GAP}(?P<value>\S{{4,64}}){_GAP}(?:to|auf|in|zu){_GAP}\S{{4,64}}",
        _mixed,
    ),
    _form(
        "pass|kennwort|pwd",
        rf"(?:password|passwort|kennwort|pwd|pw){_GAP}(?:from|von){_GAP}\S{{4,64}}{_GAP}(?:to|auf|in|zu){_GAP}(?P<value>\S{{4,64}})",
        _mixed,
    ),
    _form(
        "<t",
        r"<t[dh][^<>]{0,200}>[^<>]{0,40}(?:password|passwort|kennwort|pwd|pin)[^<>]{0,20}</t[dh]>\s{0,20}<t[dh][^<>]{0,200}>(?P<value>[^<>]{1,200})</t[dh]>",
    ),
    _form(r"wifi:", r"\bWIFI:(?:[STH]:[^;\n]{0,80};){0,3}P:(?P<value>[^;\n]{1,100})"),
    # -- codes
    _form(
        "code|tan|token|pin|number|nummer",
        rf"(?<![^\W_]){_CODES}[ _-]?(?:code|token|pin|nummer|number|tan)s?{_IS}(?P<value>(?:[A-Z]-)?\d[\d -]{{2,10}}\d|\d{{3}}[ -]\d{{3}})(?![\d])",
    ),
    _form(
        "code",
        rf"(?<![^\W_])(?:backup|recovery|wiederherstellungs|notfall|emergency|scratch)[ -]?codes?{_IS}"
        r"(?P<value>(?:\s{0,4}(?:\d{1,2}[.)]\s{0,3}|[-*]\s)?(?=[a-z0-9-]{0,30}\d)[a-z0-9]{4,16}(?:-[a-z0-9]{4,8}){0,3}[,;]?){1,24})",
        _digit,
    ),
    _form(
        "cvv|cvc|csc|prüf|verification|security code",
        r"(?<![^\W_])(?:cvv2?|cvc2?|csc|(?:karten)?prüf(?:nummer|ziffer|code)|card verification(?: code| value| number)?|security code)"
        r"(?:[ \t](?:is|ist|code|number|nummer|nr\.?|lautet)){0,2}[ \t]{0,3}[:=#]?[ \t]{0,3}(?P<value>\d{3,4})(?![\d.,:-]?\d)",
    ),
    # -- sentences
    _form(
        "pass|kennwort|pwd|pin|wachtwoord|contrase|login",
        rf"(?<!\S)(?P<value>{_QUOTED}|\S{{4,100}}){_GAP}(?:is|was|ist|war|lautet){_GAP}(?:my|the|our|his|her|their|mein|das|unser|ihr|sein|dein|your)\w{{0,2}}"
        rf"(?:{_GAP}[^\W\d]{{2,16}}){{0,2}}?{_GAP}(?:\w{{1,12}}[ -]?)?{_PASSWORD}{_OTHER_THING}(?!\w)",
        _quoted_or_mixed,
    ),
    _form(
        "pass|kennwort|pwd|wachtwoord",
        rf"(?:use|used|using|with|enter(?:ed)?|tried|set|chose|took|put|typed|have|mit|habe|nehme|nahm|verwende\w?|benutz\w{{1,2}}|nutze)"
        rf"(?:{_GAP}(?:always|now|just|immer|jetzt))?{_GAP}(?P<value>{_QUOTED}|\S{{4,100}}){_GAP}(?:as|als|for|für)(?:{_GAP}(?:my|the|a|our|new|old|mein|das|neues|altes)\w{{0,2}}){{0,2}}"
        rf"{_GAP}(?:\w{{1,12}}[ -])?{_PASSWORD}{_OTHER_THING}(?!\w)",
        _no_plain_word,
    ),
    _form(
        "phrase|mnemonic|wörter|seed",
        rf"(?:pass[ -]?phrase|(?:seed|recovery|secret|backup)[ -]?(?:phrase|words)|mnemonic|passsatz|kennsatz)(?:{_GAP}\([^()\n]{{0,40}}\))?"
        rf"{_BLANK}(?:[:=]|{_GAP}(?:is|ist|lautet|was)(?=\s)){_BLANK}(?:\r?\n)?(?P<value>{_QUOTED}|[^\n.;,]{{3,240}})",
        _passphrase,
    ),
    _form(
        "pass|kennwort|pwd|wachtwoord",
        rf"(?<![^\W_])(?:password|passwort|passwd|kennwort|pwd|pw|wachtwoord){_BLANK}[:=]{_BLANK}(?P<value>[^\W\d_]{{3,16}}(?:[ -][^\W\d_]{{3,16}}){{2,7}})(?=[ \t]{{0,5}}(?:[.,;]?[ \t]{{0,5}}$|[.;]))",
        _no_sentence,
    ),
    # -- a user and a password
    _form(
        "user|benutzer|account|konto",
        rf"(?<![^\W_])(?:user(?:name)?|benutzer(?:name)?|account|konto){_BLANK}[:=-]?{_BLANK}[\w.@\\+-]{{2,60}}[ \t]{{0,3}}[ \t,;/|:]{_BLANK}(?P<value>[^\s,;/|]{{6,64}})(?=[\s,;|]|$)",
        _strong_with_sign,
    ),
    _form(
        "user|benutzer|account|konto",
        rf"(?<![^\W_])(?:user(?:name)?|benutzer(?:name)?|account|konto){_BLANK}[:=]{_BLANK}[\w.@\\+-]{{2,60}}[ \t]{{0,3}}[,;/|][ \t]{{0,3}}(?P<value>[^\s,;/|]{{6,64}})(?=[\s,;|]|$)",
        _strong,
    ),
    _form(
        "login|log-in|logon|cred|zugang|anmeld",
        rf"(?<![^\W_])(?:login|log-in|logon|logins|cred(?:ential)?s?|zugang(?:sdaten)?|anmeld(?:ung|edaten|en))"
        rf"{_BLANK}(?:is|ist)?{_BLANK}[:=-]?{_BLANK}[\w.@\\+-]{{2,60}}[ \t]{{0,3}}[ \t,;/|:]{_BLANK}(?P<value>[^\s,;/|]{{6,64}})(?=[\s,;|]|$)",
        _strong,
    ),
    _Form(
        (":", "/", "|"),
        re.compile(
            r"^[ \t>*-]{0,8}(?:[a-z][\w.-]{1,30}(?:@[\w.-]{3,60})?|[\w.-]{1,20}\\[\w.-]{2,30})[ \t]{0,3}[:/|][ \t]{0,3}"
            r"(?P<value>[^\s/|:,;]{6,64})[ \t]{0,5}$",
            re.MULTILINE,
        ),
        _strong,
    ),
    _Form(
        (":", "/"),
        re.compile(
            r"(?<![\w/.\\:@-])[a-z][\w.-]{1,30}(?:[ ]/[ ]|[:/])(?P<value>(?=[^\s/]{0,60}\d)(?=[^\s/]{0,60}[A-Za-z])[^\s/:,;]{5,60}[!$%&?#*+])(?=[\s,;.)]|$)"
        ),
        _strong,
    ),
    _form(
        "changed|set it|reset it|geändert|gesetzt",
        rf"(?:changed|set|reset){_GAP}(?:it|that|them|mine){_GAP}to{_GAP}(?P<value>\S{{6,64}})|(?:habe|hab){_GAP}(?:es|das){_GAP}(?:auf|in){_GAP}(?P<german>\S{{6,64}}){_GAP}geändert",
        _capital_and_digit,
    ),
    _form(
        "key|schl|clé|cle|clave|chiave|chave|sleutel|klucz|pass|code",
        r"(?:wi-?fi|wlan|ssid|hotspot|wireless|r[ée]seau)[^\n]{0,60}?(?<![^\W_])(?:key|schlüssel|clé|cle|clave|chiave|chave|sleutel|klucz|pass|code)[ \t]{0,3}[:=][ \t]{0,3}(?P<value>\S{6,64})",
        _any,
    ),
    _form(
        "user|benutzer|utente|usuario|utilisateur|gebruiker|użytkownik|utilizador",
        rf"(?<![^\W_])(?:user(?:name)?|benutzer(?:name)?|utente|usuario|utilisateur|gebruiker|użytkownik|utilizador){_BLANK}[:=-]?{_BLANK}[\w.@\\+-]{{2,60}}[ ]/[ ](?P<value>[^\s,;/|]{{6,64}})(?=[\s,;|.]|$)",
        _capital_and_digit,
    ),
    # -- commands
    _form(
        "curl|http|wget|--user|-u",
        r"(?:(?<=\s)-u|--user|--proxy-user|--basic)[ =]?[\"']?[\w.@\\+-]{1,60}:(?P<value>[^\s\"']{1,100})",
    ),
    _form(
        "sshpass|plink|pscp|putty",
        r"\b(?:sshpass\s{1,3}-p|(?:plink|pscp|putty|kitty)\b[^\n]{0,80}?\s-pw)\s{0,3}(?P<value>\"[^\"\n]{1,100}\"|'[^'\n]{1,100}'|\S{1,100})",
    ),
    _form(
        "mysql|mariadb|mongo|7z|rar",
        r"\b(?:mysql\w{0,8}|mariadb\w{0,8}|mongo\w{0,8}|7z|rar|unrar)\b[^\n|]{0,120}?\s-p(?P<value>\"[^\"\n]{1,100}\"|'[^'\n]{1,100}'|[^\s-]\S{0,100})",
    ),
    _form(
        "mongo|docker|az |rdesktop|unzip|zip |sqlcmd|bcp|redis|ldap|ipmi|htpasswd|snmp|podman|helm",
        r"\b(?:mongo\w{0,8}|(?:docker|podman|helm|az)(?:\s\w{1,12})?\slogin|rdesktop|unzip|zip|sqlcmd|bcp|redis-cli|ldap\w{2,12}|ipmitool|snmp\w{2,8})\b[^\n|]{0,120}?\s-(?:p|P|a|w|c)\s{1,3}"
        r"(?P<value>\"[^\"\n]{1,100}\"|'[^'\n]{1,100}'|[^\s-]\S{0,100})",
        lambda value: not value.strip("\"'").isdigit() or len(value) > 5,
    ),
    _form(
        "net use|net user", r"\bnet1?(?:\.exe)?\s{1,3}use\b[^\n]{0,120}?/user:\S{1,80}\s{1,3}(?P<value>(?!/)\S{1,100})"
    ),
    _form(
        "net use|net user",
        r"\bnet1?(?:\.exe)?\s{1,3}use\s{1,3}(?:\w:\s{1,3})?\\\\\S{1,120}\s{1,3}(?P<value>(?!/)\S{1,100})(?=\s{1,3}/)",
    ),
    _form("net user", r"\bnet1?(?:\.exe)?\s{1,3}user\s{1,3}[\w.-]{1,60}\s{1,3}(?P<value>(?!/)\S{1,100})"),
    _form(
        "/p:|/pass:|pass:",
        r"(?<!\S)(?:/p(?:ass(?:word)?)?:|(?:-pass(?:in|out)?\s{1,3})?pass:)(?P<value>\"[^\"\n]{1,100}\"|\S{1,100})",
    ),
    _form("smbclient|rpcclient|%", r"\s-U\s{0,3}[\"']?[\w.\\-]{1,60}%(?P<value>[^\s\"']{1,100})"),
    _form(
        "securestring",
        r"ConvertTo-SecureString\s{1,3}(?:-String\s{1,3})?(?P<value>\"[^\"\n]{1,100}\"|'[^'\n]{1,100}'|(?!-)\S{1,100})",
    ),
    _form(
        "password|passwd",
        r"(?<!\S)--(?:http|ftp|proxy|db|admin|root|user|store|key|bind|auth)-?(?:password|passwd|pass)[ =](?P<value>\S{1,200})",
    ),
    _form("sudo", r"\becho\s{1,3}(?P<value>\"[^\"\n]{1,100}\"|'[^'\n]{1,100}'|\S{1,100})\s{0,3}\|\s{0,3}sudo\s{1,3}-S"),
    _form("community", r"\b(?:snmp[ -]?)?community(?:[ -]?string)?[ \t]{0,3}[:=][ \t]{0,3}(?P<value>\S{1,80})"),
    # -- addresses and headers
    _form(
        "=",
        r"[?&;#](?:sig|signature|sas|s?token|key|code|api-?_?key|apikey|access_?token|id_token|refresh_token|x-amz-(?:signature|credential|security-token)|x-goog-signature|"
        r"auth|secret|client_secret|password|pass|pwd|pw|sessionid|session|sid|jwt|assertion|otp|invite|reset)=(?P<value>[^&\s#\"'<>;]{4,2000})",
        _any,
        "secret",
    ),
    _form(
        "sig=|accountkey|accesskey",
        r"(?<![^\W_])(?:sig|accountkey|sharedaccesskey|sharedaccesssignature|accesskey)=(?P<value>[^&\s;\"']{6,2000})",
        _any,
        "secret",
    ),
    _form(
        "hook|telegram|office.com|discord|slack",
        r"(?<![\w.-])(?:hooks\.slack\.com/(?:services|workflows|triggers)|[\w.-]{0,60}webhook\.office(?:365)?\.com|outlook\.office(?:365)?\.com/webhook|discord(?:app)?\.com/api/webhooks|"
        r"hooks\.zapier\.com/hooks|api\.telegram\.org|[\w.-]{0,60}hooks?[\w-]{0,20}\.[\w.-]{2,60}(?=/\S{0,300}\d)|[\w.-]{3,100}/(?:[\w-]{1,20}/){0,4}(?:web)?hooks?(?=/\S{0,300}\d\S{4}))"
        r"/(?P<value>[^\s\"'<>]{6,2000})",
        _any,
        "secret",
    ),
    _form(
        "cookie",
        r"(?<![^\W_])(?:set-)?cookie2?[ \t]{0,3}:[ \t]{0,3}(?P<value>[^\s=;]{1,100}=[^\n]{1,2000})",
        _any,
        "secret",
    ),
    _form(
        "sess|sid|csrf|xsrf|auth",
        rf"(?<![^\W_])(?:[\w.-]{{0,20}}sess(?:ion)?(?:[_-]?id)?|connect\.sid|sid|(?:[\w-]{{0,10}})(?:csrf|xsrf)[\w-]{{0,10}}|auth[_-]?(?:token|cookie)?|remember_?me)[ \t]?=[ \t]?(?P<value>{_HEADER_VALUE})",
        lambda value: len(value) > 7 and _digit(value),
        "secret",
    ),
    _form(
        "x-",
        r"(?<![^\W_])x-(?:api-key|auth-token|amz-security-token|vault-token|gitlab-token|functions-key|access-token)[ \t]{0,3}[:=][ \t]{0,3}(?P<value>\S{4,2000})",
        _any,
        "secret",
    ),
)


def credentials(text: str) -> Iterator[Span]:
    """Yield passwords, keys and codes in the forms of commands, tables, addresses, headers and sentences."""
    lower = text.lower()
    for form in _FORMS:
        if not any([stem in lower for stem in form.stems]):
            continue
        for match in form.pattern.finditer(text):
            group = next((name for name in form.pattern.groupindex if match[name] is not None), 1)
            start = match.start(group)
            if form.accept(match[group]):
                yield Span(start, start + len(match[group].rstrip(" \t\r\n")), form.kind)
    if "\t" in text or "|" in text or ";" in text or "," in text:
        yield from _tables(text, lower)


# -- tables: the cells below the name of a password ----------------------------------------------------------------------

_NAMES = re.compile(
    r"[\"'*_ ]*(?:(?:new|old|temp\w*|initial|neues|altes|wlan|wifi|vpn|admin|default|user)[ _-]?)?"
    r"(?:pass(?:word|wort|wd|code|phrase)?|kennwort|pwd|pw|pin|puk|secret|api[ _-]?key|token|psk|wachtwoord|contraseña|mot de passe)s?[\"'*_ ]*",
    re.IGNORECASE,
)
_STEMS = ("pass", "kennwort", "pwd", "pw", "pin", "puk", "secret", "key", "token", "psk", "wachtwoord", "contrase")
_RULE = re.compile(r"[\s|:+=-]*")
#: Cells of a header and rows of a table that are read.
_CELLS, _ROWS = 40, 1_000


def _tables(text: str, lower: str) -> Iterator[Span]:
    if not any([stem in lower for stem in _STEMS]):
        return
    columns: list[int] = []
    separator, rows, at = "", 0, 0
    for line in text.splitlines(keepends=True):
        if columns and rows < _ROWS and separator in line:
            rows += 1
            if not _RULE.fullmatch(line):
                yield from _cells(line, at, separator, columns)
        else:
            columns, separator = _header(line)
            rows = 0
        at += len(line)


def _header(line: str) -> tuple[list[int], str]:
    """Return the places of the columns that hold passwords, and the separator of the columns."""
    for separator in ("\t", "|", ";", ","):
        cells = line.strip("\r\n").split(separator, _CELLS)
        if len(cells) < 2 or len(line) > 1_000:
            continue
        columns = [place for place, cell in enumerate(cells) if _NAMES.fullmatch(cell.strip())]
        if columns and all(len(cell) < 40 for cell in cells):
            return columns, separator
    return [], ""


def _cells(line: str, at: int, separator: str, columns: list[int]) -> Iterator[Span]:
    start = 0
    for place, cell in enumerate(line.split(separator, _CELLS)):
        value = cell.strip(" \r\n\t\"'*`")
        if place in columns and value:
            first = at + start + cell.index(value)
            yield Span(first, first + len(value), "password")
        start += len(cell) + 1
