"""`python -m bench.wrapped`: the same tickets plain and in the wrappings of mails and forms, classified by the local engine.

The tickets are those of ``tests/data``, the wrappings were written for Aura. Prints the share of categories and priorities that are right
by wrapping. The exit code is 1 if a wrapping costs more than three points of a category.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

from aura.ai import ClassificationRequest
from aura.ai.engines.local import LocalEngine
from aura.ai.text.language import english_or_german
from aura.ai.training.data import CATEGORIES

DATA = Path(__file__).parents[1] / "tests/data"
#: Points of categories that a wrapping may cost.
TOLERATED = 0.03

Wrap = Callable[[str, str, bool], tuple[str, str]]


def _disclaimer(title: str, text: str, german: bool) -> tuple[str, str]:
    if german:
        return title, (
            f"Guten Tag,\n\n{text}\n\nMit freundlichen Grüßen\n\nTanja Reuter\nLeiterin Einkauf\n\nNordbau Handels GmbH\nTel. +49 40 555 0199\n"
            "Geschäftsführer: Ralf Timm, Sitz der Gesellschaft: Hamburg, Amtsgericht Hamburg HRB 4711\n\n"
            "Der Inhalt dieser Nachricht ist vertraulich und nur für den genannten Empfänger bestimmt. Sollten Sie nicht der vorgesehene "
            "Adressat sein, ist jede Weitergabe untersagt. Bitte benachrichtigen Sie den Absender und löschen Sie die E-Mail."
        )
    return title, (
        f"Hello,\n\n{text}\n\nKind regards,\n\nTanya Rivers\nHead of Purchasing | Northbuild Trading Ltd\nT: +44 20 7946 0199\n\n"
        "The contents of this communication are privileged and meant for the named addressee only. If it reached you by mistake, please "
        "inform the sender and destroy all copies; disclosure or copying is strictly prohibited. Although this message was scanned for "
        "viruses, we accept no liability for damage. Please consider the environment before printing."
    )


def _one_line(title: str, text: str, german: bool) -> tuple[str, str]:
    return title, " ".join(_disclaimer(title, text, german)[1].split())


def _form(title: str, text: str, german: bool) -> tuple[str, str]:
    if german:
        return (
            title,
            f"Name: Tanja Reuter\nAbteilung: Einkauf\nBrowser: Firefox 128\nE-Mail: t.reuter@example.com\nBeschreibung: {text}",
        )
    return (
        title,
        f"name: tanya rivers\nbrowser: microsoft edge\nemail: t.rivers@example.com\nphone: 0199\nsummary: {text}",
    )


def _letter(title: str, text: str, german: bool) -> tuple[str, str]:
    if german:
        return title, (
            f"Sehr geehrte Damen und Herren,\nich hoffe, es geht Ihnen gut.\n{text}\nFür Ihre Unterstützung bedanke ich mich im Voraus. "
            "Über eine baldige Rückmeldung würde ich mich freuen.\nHochachtungsvoll\nTanja Reuter"
        )
    return title, (
        f"Dear Sir or Madam,\nI hope this message finds you well.\n{text}\nYour prompt assistance would be greatly appreciated. "
        "I look forward to hearing from you.\nYours sincerely,\nTanya Rivers"
    )


def _forwarded(title: str, text: str, german: bool) -> tuple[str, str]:
    names = ("Von", "Gesendet", "An", "Betreff") if german else ("From", "Sent", "To", "Subject")
    return f"{'WG' if german else 'FW'}: {title}", (
        f"{'Bitte übernehmen.' if german else 'Please handle.'}\n\n{names[0]}: Tanja Reuter <t@example.com>\n{names[1]}: 3.11.2026 09:12\n"
        f"{names[2]}: Service Desk\n{names[3]}: {title}\n\n{text}"
    )


def _quoted(title: str, text: str, german: bool) -> tuple[str, str]:
    line = (
        "Am 03.11.2026 um 09:12 schrieb Service Desk <desk@example.com>:"
        if german
        else "On 3 Nov 2026 at 09:12, Desk <desk@example.com> wrote:"
    )
    return (
        f"Re: {title}",
        f"{text}\n\n{line}\n> Your ticket about the suspicious mail was closed.\n> Please change your password.\n> Security team",
    )


WRAPPINGS: dict[str, Wrap] = {
    "plain": lambda title, text, _german: (title, text),
    "disclaimer": _disclaimer,
    "one line": _one_line,
    "form": _form,
    "letter": _letter,
    "forwarded": _forwarded,
    "quoted": _quoted,
}


def accuracies(engine: LocalEngine) -> dict[str, tuple[float, float]]:
    """Return the share of right categories and priorities by wrapping."""
    rows: list[dict[str, str]] = []
    for path in sorted(DATA.glob("*_tickets.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += [row for row in csv.DictReader(file) if row["description"]]
    shares = {}
    for name, wrap in WRAPPINGS.items():
        verdicts = engine.classify(
            [
                ClassificationRequest(
                    *wrap(row["title"], row["description"], english_or_german(row["description"]) == "de")
                )
                for row in rows
            ]
        )
        pairs = list(zip(rows, verdicts, strict=True))
        shares[name] = (
            sum(row["category"] == verdict.category for row, verdict in pairs) / len(pairs),
            sum(row["priority"] == verdict.priority for row, verdict in pairs) / len(pairs),
        )
    return shares


def main() -> int:
    """Measure and print."""
    shares = accuracies(LocalEngine(CATEGORIES))
    for name, (category, priority) in shares.items():
        print(f"{name:12} category {category:.3f}, priority {priority:.3f}")
    return 0 if all(category >= shares["plain"][0] - TOLERATED for category, _ in shares.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
