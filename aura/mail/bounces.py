"""Recognises bounces: reports of mail servers that a mail was delayed or not delivered.

A report has its own content type (RFC 3462) or a header that servers set. Without them its sender must be a mail server, or
no valid address; the subject and the text of a person, who may ask about a bounce, are no evidence alone.
"""

from __future__ import annotations

import re

from aura.mail.parse import ParsedMail

_DAEMON = re.compile(r"(?:mailer-?daemon|mail-?daemon|mdaemon|microsoftexchange[0-9a-f]{32})(?:@|$)", re.IGNORECASE)
#: The same in a From without a valid address.
_DAEMON_NAME = re.compile(
    r"(?<![\w.-])(?:mailer-?daemon|mail-?daemon|postmaster|mail delivery (?:sub)?system)(?![\w.-])", re.IGNORECASE
)
_POSTMASTER = re.compile(r"postmaster@", re.IGNORECASE)
_SUBJECT = re.compile(
    r"undeliver(?:ed|able)|delivery (?:status notification|failure|has failed|notification|delayed)|"
    r"mail delivery (?:failed|failure|system)|"
    r"returned mail|returned to sender|failure notice|message (?:not|could not be) delivered|delayed mail|"
    r"warning: (?:could not send|message)|"
    r"unzustellbar|nicht zugestellt|zustellung|non remis|échec de la remise|no se puede entregar|no entregado|mancata consegna|"
    r"niet bezorgd|niet te bezorgen|onbestelbaar|não entregue|não é possível entregar|falha na entrega|nie dostarczono|"
    r"nie można dostarczyć|impossibile recapitare|non recapitabile|kan (?:inte levereras|ikke leveres)|olevererbar|"
    r"недоставлен|не доставлен|не удается доставить|nedoručiteln|kézbesíthetetlen|teslim edilemedi|"
    r"nachricht nicht zugestellt|zustellungsstatus|übermittlung verzögert|remise retardée|mail could not be delivered|"
    r"mail system error|delivery reports? about|mail failure|无法传递|系统退信|無法傳遞|配信不能|未送達|배달되지 않음",
    re.IGNORECASE,
)
_TEXT = re.compile(
    r"this is the mail (?:system|delivery)|could not be delivered|(?:was|were) not delivered|"
    r"following address(?:es)? (?:failed|had)|"
    r"unable to deliver|permanent (?:fatal )?error|undeliverable|delivery to the following|diagnostic-code|final-recipient|"
    r"reporting-mta|\b5\d\d[ -]#?5\.\d\.\d|\b[45]\.\d\.\d\b|"
    r"did not reach|nachrichtenzustellung|delivery has failed|user unknown|mailbox (?:is )?(?:full|unavailable)|"
    r"konnte nicht zugestellt",
    re.IGNORECASE,
)
#: Characters of the text that are searched.
_BEGINNING = 5_000


def bounce_reason(mail: ParsedMail) -> str:
    """Return why the mail is a bounce, or ""."""
    if mail.content_type in ("multipart/report", "message/delivery-status", "message/disposition-notification"):
        return "report of a mail server"
    for name in ("x-failed-recipients", "x-ms-exchange-message-is-ndr"):
        if mail.header(name) is not None:
            return f"bounce: {name.title()}"
    if _DAEMON.match(mail.sender):
        return "report of a mail server"
    named = mail.header("from") or ""
    if _POSTMASTER.match(mail.sender) or '"postmaster@' in named.lower():
        return "bounce: from postmaster" if _in_subject(mail) or _in_text(mail) else ""
    if mail.sender:
        return ""
    if _DAEMON_NAME.search(named[:400]) or (not mail.reply_to and _in_subject(mail) and _in_text(mail)):
        return "bounce: no sender"
    return ""


def _in_subject(mail: ParsedMail) -> bool:
    return bool(_SUBJECT.search(mail.subject))


def _in_text(mail: ParsedMail) -> bool:
    return bool(_TEXT.search(mail.text[:_BEGINNING]))
