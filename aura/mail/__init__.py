"""Inbound mail: parse it, store it, and make it a ticket or a comment.

parse.py         bytes to a ParsedMail; never raises; its docstring names the modules of its steps
replies.py       removes quotes and signatures from a reply
auto_replies.py  recognises mail that no person wrote
ingest.py        one mail, one transaction
imap.py          reads an IMAP mailbox; maildir.py, a Maildir
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
