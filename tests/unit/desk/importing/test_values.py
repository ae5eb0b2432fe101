"""Values of exports: status, priority, category, requester."""

from __future__ import annotations

import pytest

from aura.desk.importing.presets import presets
from aura.desk.importing.values import read_category, read_priority, read_requester, read_status
from aura.settings import PRIORITIES, STATUSES

CATEGORIES = ("Hardware", "Software", "Network", "Email", "Access", "Security", "Other")


@pytest.mark.parametrize(
    ("preset", "text", "priority"),
    [
        ("freshdesk", "1", "low"),
        ("freshdesk", "4", "critical"),
        ("servicenow", "1", "critical"),
        ("servicenow", "5", "low"),
        ("servicenow", "2 - High", "high"),
        ("servicenow", "5 - Planning", "low"),
        ("jira", "Highest", "critical"),
        ("jira", "Lowest", "low"),
        ("glpi", "6", "critical"),
        ("glpi", "Sehr niedrig", "low"),
        ("osticket", "Emergency", "critical"),
        ("rt", "0", "low"),
        ("rt", "50", "medium"),
        ("rt", "100", "critical"),
        ("redmine", "Immediate", "critical"),
        ("zendesk", "Urgent", "critical"),
        ("general", "1", "critical"),
        ("general", "P3 (normal)", "medium"),
        ("general", "hoch!", "high"),
        ("zammad", "3 high", "high"),
        ("otrs", "5 sehr hoch", "critical"),
        ("general", "Severity 2", "high"),
        ("general", "Priorität 3", "medium"),
        ("general", "Très haute", "critical"),
        ("general", "Baja", "low"),
        ("general", "whenever", None),
        ("general", "", None),
        ("rt", "1e999", None),
    ],
)
def test_a_priority_is_read_by_the_scale_of_its_help_desk(preset: str, text: str, priority: str | None):
    assert read_priority(text, presets()[preset]) == priority


@pytest.mark.parametrize(
    ("preset", "text", "status"),
    [
        ("zendesk", "Hold", "pending"),
        ("jira", "Waiting for customer", "pending"),
        ("jira", "Won't Do", "closed"),
        ("servicenow", "Closed Complete", "closed"),
        ("servicenow", "6", "resolved"),
        ("servicenow", "Awaiting Caller", "pending"),
        ("freshdesk", "5", "closed"),
        ("freshdesk", "Being Processed", "in_progress"),
        ("glpi", "En cours (Attribué)", "in_progress"),
        ("rt", "stalled", "pending"),
        ("redmine", "Rückfrage", "pending"),
        ("general", "GESCHLOSSEN", "closed"),
        ("general", "in_progress", "in_progress"),
        ("general", "Closed by caller", "closed"),
        ("jira", "Terminé", "resolved"),
        ("redmine", "Cerrada", "closed"),
        ("servicenow", "In Wartestellung", "pending"),
        ("otrs", "erfolgreich geschlossen", "closed"),
        ("general", "Opgelost", "resolved"),
        ("general", "Nicht gelöst", None),
        ("general", "5", None),
        ("general", "Parkiert", None),
    ],
)
def test_a_status_is_one_of_ours(preset: str, text: str, status: str | None):
    assert read_status(text, presets()[preset], {}) == status


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("hardware", "Hardware"),
        ("IT > Netzwerk > WLAN", "Network"),
        ("Drucker", "Hardware"),
        ("E-Mail", "Email"),
        ("Canteen", None),
        ("General", None),
    ],
)
def test_a_category_is_a_configured_one_or_none(text: str, category: str | None):
    assert read_category(text, presets()["general"], CATEGORIES) == category
    assert read_category(text, presets()["general"], ("Canteen",)) == ("Canteen" if text == "Canteen" else None)


@pytest.mark.parametrize(
    ("email", "person", "name", "expected"),
    [
        ("ada@example.com", "Ada Lovelace", "", ("ada@example.com", "Ada Lovelace")),
        ("", "Ada <ADA@Example.com>", "", ("ada@example.com", "Ada")),
        ("", '"Lovelace, Ada" <ada@example.com>', "", ("ada@example.com", "Lovelace, Ada")),
        ("", "ada@example.com (Ada)", "", ("ada@example.com", "Ada")),
        ("", "Ada L (Ada@Example.com);Bob (bob@example.com)", "", ("ada@example.com", "Ada L")),
        ("", "ADA@EXAMPLE.COM", "Ada L", ("ada@example.com", "Ada L")),
        ("mailto:ada@example.com", "", "", ("ada@example.com", "")),
        ("ada@example.com; bob@example.com", "", "", ("ada@example.com", "")),
        ("", "Ada Lovelace", "Ada Lovelace", ("Ada Lovelace", "")),
        ("", "", "Ada Lovelace", ("Ada Lovelace", "")),
        ("", "", "", ("", "")),
        ("", "<" * 5000 + "@" * 5000, "", ("<" * 5000 + "@" * 5000, "")),
    ],
)
def test_an_address_wins_over_a_name(email: str, person: str, name: str, expected: tuple[str, str]):
    assert read_requester(email, person, name) == expected


def test_the_presets_map_to_values_that_exist():
    for preset in presets().values():
        assert set(preset.status.values()) <= set(STATUSES)
        assert set(preset.priority.values()) | {each for _, each in preset.priority_scale} <= set(PRIORITIES)
        assert set(preset.category.values()) <= set(CATEGORIES)
