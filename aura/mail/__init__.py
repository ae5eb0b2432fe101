"""Mails that come in: read whatever it is, decide what it is to us, keep it, make it a ticket or a comment.

reading.py    bytes to a Letter; it never raises
replies.py    what somebody wrote in a reply, without what they quoted
automatic.py  which mails no person wrote
taking.py     one mail, one transaction
imap.py       an IMAP mailbox; maildir.py, a Maildir
"""

from aura.mail.ingest import IngestResult, NotPossible, create_from_ignored, ingest_mail
from aura.mail.parse import ParsedMail, read

__all__ = ["IngestResult", "NotPossible", "ParsedMail", "create_from_ignored", "ingest_mail", "read"]
