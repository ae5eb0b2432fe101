"""The prompt of the OpenAI engine: a versioned file, and the ticket beside it as JSON data.

A change of wording is a new file (``prompts/classify-v3.txt``) and a new ``VERSION``, so that every verdict says which
prompt it came from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from string import Template

from aura.ai.engines.base import ClassificationRequest
from aura.ai.text.clean import clean, clean_line

VERSION = "classify-v2"
#: Characters of a ticket that are sent; they bound the cost of one call.
TITLE, DESCRIPTION = 300, 8_000
#: Characters of a ticket that is sent as an example.
PRECEDENT = 300

_ABOUT = {
    "Hardware": "devices and their parts: computers, docks, screens, printers, phones, servers as machines",
    "Software": "programs and systems: crashes, errors, updates, installation, licences, data in applications",
    "Network": "connections: WLAN, LAN, VPN, DNS, internet, firewall, drives or sites that cannot be reached",
    "Email": "mail, mailboxes, calendars, distribution lists, Outlook",
    "Access": "sign-in, passwords, locked accounts, MFA, permissions, accounts of people who join or leave",
    "Security": "phishing, malware, lost or stolen devices, leaked data, suspicious activity, vulnerabilities",
    "Other": "questions, how-to, facilities, HR, invoices, feedback, everything that fits nowhere else",
}


@lru_cache(maxsize=4)
def system_prompt(categories: tuple[str, ...]) -> str:
    """Return the instructions for these categories."""
    lines = [f"- {name}: {_ABOUT[name]}" if name in _ABOUT else f"- {name}" for name in categories]
    text = Path(__file__).with_name("prompts").joinpath(f"{VERSION}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(categories="\n".join(lines))


def ticket_message(question: ClassificationRequest) -> str:
    """Return the ticket as one JSON object; quoting keeps its text apart from everything else in the conversation."""
    examples = [
        {"ticket": clean_line(each.text, PRECEDENT), "category": each.category, "priority": each.priority}
        for each in question.precedents
    ]
    return json.dumps(
        {
            **({"examples": examples} if examples else {}),
            "ticket": {
                "title": clean_line(question.title, TITLE),
                "description": clean(question.description, DESCRIPTION),
                "language": clean_line(question.language, 10),
                "department": clean_line(question.department, 100),
                "claimed_priority": clean_line(question.claimed_priority or "", 20) or None,
            },
        },
        ensure_ascii=False,
    )


def conversation(question: ClassificationRequest, categories: Sequence[str]) -> tuple[str, str]:
    """Return the system text and the user text for one ticket."""
    return system_prompt(tuple(categories)), ticket_message(question)
