"""Detector of passwords and PINs after their name, in eight languages and Turkish: "password: hunter2", "die PIN ist 4711"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aura.ai.text.lexicons import words
from aura.ai.text.masking.span import Span

#: Every text that names a password has one of these stems or words; searching for them is quicker.
_STEMS = (
    "pass",
    "kennwor",
    "key",
    "secret",
    "token",
    "zugang",
    "geheim",
    "credential",
    "wachtwoord",
    "contrase",
    "parola",
    "hasł",
    "hasl",
    "senha",
    "palavra",
    "şifre",
    "sifre",
    "clave",
    "clé ",
    "cle ",
    "chiave",
    "chave",
    "sleutel",
    "klucz",
    "mdp",
    "wifi",
    "wi-fi",
    "wlan",
    "passe",
)
_WORDS = frozenset({"pwd", "pw", "psw", "psk", "pin", "puk", "tan", "otp"})

_BLANK = r"[ \t]{0,20}"
_GAP = r"[ \t]{1,20}"
_NAME = (
    r"(?:pass(?:word|wort|wd|phrase|code|key)|mots?[ \t]de[ \t]passe|wachtwoord|contraseña|"
    r"parola(?:[ \t](?:d['’]ordine|chiave|m|n[ıi]z|si))?|hasł[oaem]{1,2}|haslo|senha|palavra[ -]passe|(?:ş|s)ifre(?:m|miz|niz|si|n)?|contrasena|mdp|"
    r"(?:clave|cl[ée]|chiave|chave|sleutel|klucz)(?:[ \t](?:del?|du|da|do|van)?[ \t]?(?:wi-?fi|wlan|red|r[ée]seau|rete|rede))|(?:wi-?fi|wlan)[ -]?(?:sleutel|klucz|wachtwoord)|"
    r"kennwor[dt]|geheim(?:zahl|nummer|code)|zugangs(?:code|daten)|credentials?|"
    r"api[ _-]?key|(?:access|secret|private|auth|client)[ _-]?(?:key|token|secret)|secret|token|"
    r"(?<![^\W_])(?:pass|pwd|pw|psw|psk|pin|puk|tan|otp)(?![^\W\d_]))"
)
_QUOTE = r"[\"'*_`„“”‚‘’«»]"
#: A dot within a sentence: Ms. Meier, vpn.example.com
_NO_STOP = r"(?<=\b(?:mr|ms|dr|hr|fr|st|nr|no))\.|(?<=\b(?:mrs|abt|tel))\.|(?<=\bprof)\.|\.(?=[^\W_])"
#: Text between the name and the value: (temporary), for the VPN, neu
_ABOUT = (
    rf"(?:e?s|\d)?{_QUOTE}{{0,3}}(?:{_BLANK}\([^()\n]{{0,40}}\)"
    rf"|{_GAP}(?:for|of|on|to|in|at|für|fuer|von|vom|del|de|da|do|dla|per|para|pour|voor|zum|zur|im|am|bei|beim|des|der)[ \t](?:[^\n.:=!?;,]|{_NO_STOP}){{0,60}}?"
    rf"|{_GAP}(?:neu|alt|new|old|temp\w{{0,10}}|again|jetzt|now|code|nr\.?))?{_QUOTE}{{0,3}}"
)
_SIGN = rf"{_BLANK}(?::=|=>|->|[:=|]{{1,2}}|\t){_BLANK}(?:\r?\n{_BLANK})?"
_VERB = (
    rf"{_GAP}(?:(?:(?:has been|was|is|got|wurde){_GAP})?(?:changed|set|reset){_GAP}(?:back{_GAP})?to|(?:wurde|ist){_GAP}auf"
    rf"|(?:is|was|are|est|es|è|é|e'|era|to|jest|brzmi|oldu|ist|war|lautet|lauten|hei(?:ß|ss)t)(?:{_GAP}(?:now|jetzt|nun|still|noch|ora|adesso|ahora|agora|teraz|nu))?)(?:{_GAP}|{_BLANK}:{_BLANK})"
)
_QUOTED = r"\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|`[^`\n]{1,200}`|[„“‚‘«»][^“”‘’«»\n]{1,200}[“”‘’«»]"

_NAMED = re.compile(
    rf"{_NAME}{_ABOUT}(?:{_SIGN}(?P<value>{_QUOTED}|\S{{1,400}}(?:[ \t]?/[ \t]?\S{{1,100}})?)"
    rf"|{_VERB}(?:(?P<quoted>{_QUOTED})|(?P<word>\S{{1,200}})))",
    re.IGNORECASE,
)
#: Values without a sign or verb before them; they must look like a password.
_OTHERS = (
    re.compile(
        rf"{_NAME}(?:e?s)?{_GAP}(?:(?:to|as){_GAP})?(?P<value>{_QUOTED}|(?=\S{{0,64}}\d)(?=\S{{0,64}}[^\W\d])\S{{6,200}})",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?<![^\W_])(?:pin|puk|tan|otp)[ \t]{0,2}(?:nr\.?|code|number|nummer)?[ \t]{0,2}(?P<value>[0-9]{4,10})(?![0-9])",
        re.IGNORECASE,
    ),
    re.compile(
        r"<(?:password|passwd|pwd|passwort|kennwort|secret|token|api-?key)>(?P<value>[^<\n]{1,200})", re.IGNORECASE
    ),
    re.compile(r"(?<!\S)--?(?:password|passwd|pass|pw|token|secret|api-key)[ =](?P<value>\S{1,200})", re.IGNORECASE),
)

#: Words that follow "password is" and are no password: "my password is expired".
_WORDS_AFTER = words("words_after_password.txt")
_WORD = re.compile(r"[^\W\d_]+")


def passwords(text: str) -> Iterator[Span]:
    """Yield the values after "password:", "Passwort ist", "PIN", "token =" and similar names."""
    if not _may_name_one(text.lower()):
        return
    at = 0
    while match := _NAMED.search(text, at):
        kind = str(match.lastgroup)
        # continue at the value, not after it: it may be the next name
        at = match.start(kind)
        if kind != "word" or not _is_plain_word(match[kind]):
            yield Span(*match.span(kind), "password")
    for pattern in _OTHERS:
        for match in pattern.finditer(text):
            yield Span(*match.span("value"), "password")


def _may_name_one(lower: str) -> bool:
    """Return whether a text in lower case may name a password."""
    return any([stem in lower for stem in _STEMS]) or (
        any([word in lower for word in _WORDS]) and not _WORDS.isdisjoint(_WORD.findall(lower))
    )


def _is_plain_word(value: str) -> bool:
    """Return whether the value is a word about a password and no password."""
    word = _WORD.match(value)
    return word is not None and word[0].lower() in _WORDS_AFTER and not any(char.isdigit() for char in value)
