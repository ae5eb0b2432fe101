"""Inbound mail: parse it, store it, and make it a ticket or a comment.

parse.py         bytes to a ParsedMail; never raises; its docstring names the modules of its steps
replies.py       removes quotes and signatures from a reply: attributions.py, quoted_headers.py, mail_signatures.py
auto_replies.py  classifies automatic mail; bounces.py, reports of mail servers
identity.py      stores each mail once; conversations.py finds its ticket, requesters.py its requester
ingest.py        one mail, one transaction
cc.py            remembers the people in Cc
unsubscribe.py   unsubscribes by a mail
imap.py          reads an IMAP mailbox, with imap_connection.py and imap_login.py (access tokens)
maildir.py       reads a Maildir
"""

from aura.mail.attachments import MailAttachment
from aura.mail.ingest import IngestResult, NotPossible, create_from_ignored, ingest_mail
from aura.mail.parse import ParsedMail, parse_mail, read_attachments

__all__ = [
    "IngestResult",
    "MailAttachment",
    "NotPossible",
    "ParsedMail",
    "create_from_ignored",
    "ingest_mail",
    "parse_mail",
    "read_attachments",
]
