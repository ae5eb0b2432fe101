"""Tickets that programs write: alerts of Nagios, Icinga, Zabbix, Prometheus, job schedulers and endpoint protection (EDR).

    read_alert("problem host alert: core-sw-01 is down")  ->  Alert("high", "is down")

The severity that an alert states is a fact about a machine, and no claim of a person. Test systems and recovered ones are less
urgent.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MARKS = (
    *(
        "alert",
        "problem",
        "recovery",
        "host",
        "service",
        "severity",
        "trigger",
        "job",
        "monitor",
        "zabbix",
        "nagios",
        "icinga",
    ),
    *(
        "prometheus",
        "prtg",
        "checkmk",
        "datadog",
        "grafana",
        "pagerduty",
        "defender",
        "crowdstrike",
        "sentinel",
        "edr",
        "backup",
    ),
    *("firing", "resolved", "process", "detection", "qualys", "splunk", "siem", "scheduler", "status", "state"),
)
#: Forms in which programs write, in plain text (lower case, no accents).
_MACHINE = re.compile(
    r"(?<!\w)(?:(?:problem|recovery|acknowledgement|flapping\w*|downtime\w*) (?:host|service|notification)|\*{2,} ?(?:problem|recovery|nagios|icinga|host|service)"
    r"|(?:host|service) alert: ?|notification type: ?\w+|\[(?:firing|resolved|problem|ok|alerting|no data|triggered|recovered|critical|warning|down|up)(?::\d+)?\]"
    r"|(?:problem|resolved)(?: in [\dhms ]{1,12})?: \S|trigger(?: (?:name|status|severity))?: |problem (?:started|has been resolved|name|id)|alertname ?[:=]"
    r"|(?:severity|priority|status|state|criticality) ?[:=] ?(?:critical|major|high|warning|average|disaster|information|info|minor|low|unknown|down|unreachable|up|ok|error|problem|firing|resolved|failed)\b"
    r"|job [\w.$:/\\-]*[_\d.$-][\w.$:/\\-]* (?:has )?(?:failed|aborted|ended|terminated|completed|is late|not started|did not|exceeded|finished)|(?:backup|replication|sync|cron ?job|scheduled task|batch)(?: job)? [\w.$:/\\-]+ (?:has )?failed"
    r"|(?:process|image|file) \S+\.(?:exe|dll|ps1|bat|scr|bin)\b.{0,20}\b(?:encrypts?|deletes?|modif\w+|injects?|spawned|connects|dropped|renames?)\b|(?:failed|aborted|abended) in [\w-]*(?:scheduler|autosys|control-m|cron|jenkins|rundeck)\b"
    r"|(?:detection|threat|malware|alert) (?:name|id|type|severity|details?) ?[:=]|(?:endpoint|edr|defender|sentinel|crowdstrike|falcon|xdr|siem)\b.{0,40}\b(?:alert|detect\w+|incident|blocked|quarantined)"
    r"|(?:this is an? )?auto(?:mated|matic|matically generated) (?:message|alert|notification|mail|e-?mail) (?:from|by|of)|automatische (?:meldung|benachrichtigung) (?:von|des|der)"
    r"|(?:host|service|sensor|probe|node|check|device) ?[:=] ?[\w.-]*[\d.-][\w.-]*)"
)
_STRONG = re.compile(r"\b(?:job|backup|host|service|alert|severity|firing|trigger|state|status)\b")
_RECOVERED = re.compile(
    r"(?:\[(?:resolved|recovered|ok|up)(?::\d+)?\]|\brecovery\b|\bresolved(?: in [\dhms ]{1,12})?: |problem has been resolved|\bis (?:up|ok|back|recovered)\b"
    r"|(?:state|status) ?[:=] ?(?:ok|up|resolved|recovered|normal|green)\b|\breturned to normal\b|\bback to normal\b)"
)
_LEVEL = re.compile(
    r"(?:severity|priority|criticality|trigger severity|level|schweregrad|prioritaet) ?[:=] ?\"?'?(?P<level>critical|disaster|emergency|fatal|blocker|major|high|severe|error|warning|average|medium|moderate|information\w*|info|notice|minor|low|not classified|kritisch|hoch|mittel|niedrig)\b"
)
_LEVELS = {
    **dict.fromkeys(
        ("critical", "disaster", "emergency", "fatal", "blocker", "major", "high", "severe", "kritisch", "hoch"), "high"
    ),
    **dict.fromkeys(("error", "average", "medium", "moderate", "warning", "mittel"), "medium"),
    **dict.fromkeys(
        ("information", "informational", "info", "notice", "minor", "low", "not classified", "niedrig"), "low"
    ),
}
_DOWN = re.compile(
    r"\b(?:is|are|state ?[:=]|status ?[:=]|host ?[:=]? ?\S{1,60}|-) ?\"?(?:down|unreachable|unavailable|offline|critical|not responding|not reachable)\b"
    r"|\b(?:host|node|instance|switch|router|firewall|server|service|target|link|interface|tunnel|bgp \w+)\S{0,40} (?:down|unreachable|lost)\b|instancedown|hostdown|nodedown|targetdown"
    r"|\b(?:no data|connection lost|heartbeat lost|out of (?:memory|space)|disk full|filesystem full|100 ?%)"
)
#: Machines on which many depend.
_SHARED = re.compile(
    r"\b(?:core|dist|distribution|backbone|spine|firewall|fw|gateway|gw|dc|ad|dns|dhcp|vpn|mail|exchange|smtp|erp|sap|crm|sql|oracle|postgres\w*|mysql|db|database|cluster|storage|san|nas|vcenter|esx\w*|hypervisor|proxy|lb|loadbalancer|ldap|auth|sso|prod\w*|web|www|shop|api|payment|pos|mes|wan|internet|uplink|router|switch|sw|core-?sw)(?=[\W_\d]|$)"
)
_INTRUSION = re.compile(
    r"\b(?:encrypt(?:s|ed|ing|ion of)?(?: \w+){0,3} (?:files|documents|shares|folders)|ransom\w*|mass (?:file )?(?:encryption|deletion|rename)|lateral movement|credential dump\w*|lsass|mimikatz|cobalt ?strike|command (?:and|&) control|c2 (?:beacon|traffic|server)|exfiltrat\w*|privilege escalation|shadow cop\w+|dcsync|golden ticket|verschluesselt (?:\w+ ){0,3}(?:dateien|dokumente))"
)
_BLOCKED = re.compile(
    r"\b(?:blocked|quarantined|prevented|remediated|cleaned|blockiert|unter quarantaene|verhindert|bereinigt|false positive|fehlalarm|eicar|test file)\b"
)
TEST_SYSTEM = re.compile(
    r"\b(?:test|testing|tst|uat|qa|dev|devel|development|staging|stage|stg|sandbox|demo|preprod|pre-production|non-?prod\w*|training|lab|poc|nonprod|entwicklung\w*|testsystem\w*|testserver\w*|testumgebung|abnahme|schulungs\w*|integration)(?=[\W_\d]|$)"
)


class Alert(NamedTuple):
    """A reading of an alert: its priority and the phrase of the alert that gives it."""

    priority: str
    phrase: str


def is_machine_made(plain: str) -> bool:
    """Return whether a program wrote the text, given in plain form (lower case, no accents)."""
    return any([mark in plain for mark in _MARKS]) and _MACHINE.search(plain[:2_000]) is not None


def read_alert(plain: str) -> Alert | None:
    """Return the priority of a text that a program wrote, None for other texts."""
    if not is_machine_made(plain):
        return None
    text = plain[:2_000]
    if found := _RECOVERED.search(text):
        return Alert("low", found.group())
    test = TEST_SYSTEM.search(text)
    stated = _LEVEL.search(text)
    priority = _LEVELS[stated["level"]] if stated else "medium"
    phrase = stated.group() if stated else ""
    if found := _INTRUSION.search(text):
        priority, phrase = ("medium" if _BLOCKED.search(text) else "critical"), found.group()
    elif (found := _DOWN.search(text)) and priority != "low":
        shared = _SHARED.search(text)
        if shared or priority == "high" or stated is None:
            priority, phrase = "high", found.group()
    if test and priority in ("high", "critical"):
        priority, phrase = "medium", test.group()
    return Alert(priority, phrase[:40])
