"""Prompt of the OpenAI engine: instructions from a versioned file, and the ticket as JSON data.

A changed prompt is a new file (``prompts/classify-v3.txt``) and a new ``VERSION``, which every verdict stores.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from string import Template

from aura.ai.engines.base import ClassificationRequest
from aura.ai.text.clean import clean, clean_line

VERSION = "classify-v2"
#: Characters of a ticket that are sent; they bound the cost of one call.
TITLE, DESCRIPTION = 300, 8_000
#: Characters of an example that are sent.
EXAMPLE = 300

_ABOUT = {
    "Hardware": "devices and their parts: computers, docks, screens, printers, phones, servers as machines",
    "Software": "programs and systems: crashes, errors, updates, installation, licences, data in applications",
    "Network": "connections: WLAN, LAN, VPN, DNS, internet, firewall, drives or sites that cannot be reached",
    "Email": "mail, mailboxes, calendars, distribution lists, Outlook",
    "Access": "sign-in, passwords, locked accounts, MFA, permissions, accounts of people who join or leave",
    "Security": "phishing, malware, lost or stolen devices, leaked data, suspicious activity, vulnerabilities",
    "Other": "questions, how-to, facilities, HR, invoices, feedback, everything that fits nowhere else",
}


@cache
def system_prompt(categories: tuple[str, ...]) -> str:
    """Return the instructions, with these categories."""
    lines = [f"- {name}: {_ABOUT[name]}" if name in _ABOUT else f"- {name}" for name in categories]
    text = Path(__file__).with_name("prompts").joinpath(f"{VERSION}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(categories="\n".join(lines))


def ticket_message(request: ClassificationRequest) -> str:
    """Return the ticket as one JSON object, whose quoting separates its text from the instructions."""
    examples = [
        {"ticket": clean_line(example.text, EXAMPLE), "category": example.category, "priority": example.priority}
        for example in request.examples
    ]
    return json.dumps(
        {
            **({"examples": examples} if examples else {}),
            "ticket": {
                "title": clean_line(request.title, TITLE),
                "description": clean(request.description, DESCRIPTION),
                "language": clean_line(request.language, 10),
                "department": clean_line(request.department, 100),
                "claimed_priority": clean_line(request.claimed_priority or "", 20) or None,
            },
        },
        ensure_ascii=False,
    )


def conversation(request: ClassificationRequest, categories: Sequence[str]) -> tuple[str, str]:
    """Return the system text and the user text of one request."""
    return system_prompt(tuple(categories)), ticket_message(request)
