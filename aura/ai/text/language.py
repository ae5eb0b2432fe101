"""Language detection: ISO 639-1 code of a text's language, "und" (undetermined) when it is not sure.

Most texts of a desk are English or German, which their function words tell in microseconds. lingua judges the others, with
the models of 24 languages in its low-accuracy mode, loaded at the first such text. Measured on 40 own texts of about ten
words in 20 languages, one core: lingua 2.1 in this mode 40 right, 35 MB, 0.3 s to load, 0.3 ms a text; in its other mode 40
right, 500 MB, 1.1 ms; py3langid 0.4 40 right, 98 MB with numpy, 0.7 s, 0.1 ms. Fewer than five words decide only by
function words or script.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from aura.ai.text.lexicons import words

if TYPE_CHECKING:
    from lingua import LanguageDetector

#: The language of a text that no engine is sure about.
UNDETERMINED = "und"
#: Languages that lingua tells apart.
LANGUAGES = (
    *("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "sv", "da", "nb"),
    *("fi", "et", "cs", "hu", "ro", "ru", "uk", "el", "ja", "zh", "ko", "ar"),
)
#: Characters that are read, and that lingua reads.
READ, READ_BY_LINGUA = 2_000, 300
#: Words from which on lingua is asked, and its confidence that is sure.
LEAST_WORDS, SURE = 5, 0.8
#: Function words of a text that decide, and their share of its words.
LEAST_HITS, SHARE = 2, 0.1

#: Words of English or German that are frequent in other languages as well.
_SHARED = frozenset(
    [
        "a",
        "an",
        "i",
        "in",
        "me",
        "on",
        "as",
        "do",
        "no",
        "is",
        "was",
        "all",
        "at",
        "to",
        "so",
        "of",
        "for",
        "my",
        "it",
        "or",
        "and",
        "open",
        "access",
        "new",
        "reset",
        "system",
        "fehler",
        "die",
        "war",
        "es",
        "am",
        "an",
        "er",
        "der",
        "den",
        "des",
        "im",
        "alle",
        "von",
        "sein",
        "man",
        "wer",
        "wie",
        "wo",
        "also",
        "kann",
        "mit",
        "guten",
        "morgen",
        "beim",
        "password",
        "passwort",
        "konto",
        "netzwerk",
        "hallo",
        "hello",
    ]
)
_ENGLISH = words("english.txt") - _SHARED
_GERMAN = words("german.txt") - _SHARED
#: Frequent words of the languages that are closest to the two.
_OTHERS = frozenset(
    [
        "het",
        "een",
        "ik",
        "niet",
        "mijn",
        "zijn",
        "wij",
        "ons",
        "geen",
        "och",
        "att",
        "jag",
        "inte",
        "ikke",
        "jeg",
        "og",
        "det",
        "til",
        "ei",
        "ej",
        "que",
        "les",
        "des",
        "una",
        "para",
        "il",
        "non",
        "nao",
        "nie",
        "sie",
    ]
) - {"sie", "des"}
_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?")
_BEYOND_LATIN = re.compile(
    r"[\u0370-\u052f\u0590-\u06ff\u0900-\u0dff\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)


def english_or_german(text: str) -> str:
    """Return "en" or "de" if the function words of a text say so, else ""; the first 2,000 characters are read."""
    found = _WORD.findall(text[:READ].lower())
    english = sum([word in _ENGLISH for word in found])
    german = sum([word in _GERMAN for word in found])
    most, least = max(english, german), min(english, german)
    if most <= 2 * least or most < min(LEAST_HITS, max(len(found) // 3, 1)) or most < SHARE * len(found):
        return ""
    if 2 * sum([word in _OTHERS for word in found]) > most:
        return ""
    return "de" if german > english else "en"


#: Frequent words of French, Spanish, Italian, Portuguese, Dutch, Polish and Turkish without accents.
_FOREIGN = frozenset(
    [
        "le",
        "la",
        "les",
        "du",
        "une",
        "est",
        "sont",
        "pas",
        "plus",
        "nous",
        "je",
        "ne",
        "notre",
        "nos",
        "dans",
        "avec",
        "pour",
        "et",
        "el",
        "los",
        "las",
        "una",
        "que",
        "por",
        "para",
        "con",
        "nadie",
        "nuestra",
        "esta",
        "estan",
        "hay",
        "se",
        "il",
        "lo",
        "gli",
        "della",
        "nel",
        "nella",
        "non",
        "che",
        "di",
        "per",
        "sono",
        "nessuno",
        "tutta",
        "tutti",
        "e",
        "os",
        "nao",
        "uma",
        "com",
        "da",
        "na",
        "ninguem",
        "toda",
        "todos",
        "o",
        "nossa",
        "ao",
        "het",
        "een",
        "niet",
        "geen",
        "van",
        "ik",
        "wij",
        "ons",
        "onze",
        "op",
        "de",
        "heel",
        "hele",
        "zijn",
        "doet",
        "werkt",
        "niemand",
        "sie",
        "jest",
        "na",
        "nie",
        "wszyscy",
        "nikt",
        "cala",
        "dziala",
        "mamy",
        "od",
        "bir",
        "ve",
        "icin",
        "cok",
        "tum",
        "butun",
        "calismiyor",
        "yok",
        "bizim",
        "hic",
        "kimse",
        "personne",
        "tout",
        "toute",
        "tutto",
        "nadie",
        "funciona",
        "funziona",
    ]
)


def may_be_foreign(normalized: str) -> bool:
    """Return whether a normalized text may be in another language than English and German; true for up to three words."""
    found = normalized.split()
    return len(found) < 4 or (not _FOREIGN.isdisjoint(found) and not english_or_german(normalized))


def detect(text: str) -> str:
    """Return the ISO 639-1 code of the language of a text, "und" when it is not sure."""
    return english_or_german(text) or _other(text[:READ])


def _other(text: str) -> str:
    if len(_WORD.findall(text)) < LEAST_WORDS and not _BEYOND_LATIN.search(text):
        return UNDETERMINED
    best = _detector().compute_language_confidence_values(text[:READ_BY_LINGUA])
    if not best or best[0].value < SURE:
        return UNDETERMINED
    code = best[0].language.iso_code_639_1.name.lower()
    return "no" if code == "nb" else code


@cache
def _detector() -> LanguageDetector:
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    codes = [getattr(IsoCode639_1, code.upper()) for code in LANGUAGES]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).with_low_accuracy_mode().build()
