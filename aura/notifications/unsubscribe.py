"""Unsubscribe links: a signed token for each address, and the line below a mail that shows the link.

The signature is an HMAC-SHA256 with the key of the installation (`db.signing_keys`). A token does not expire: a link in an
old mail must work (RFC 8058). It ends exactly what it names and gives no other access.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass

from aura.errors import NotFound
from aura.notifications.render import supported_language

#: The path of the page.
PATH = "/unsubscribe"
#: The subject of a mail that unsubscribes, before the token.
SUBJECT = "unsubscribe"
#: Bytes of the signature, and characters of the longest token.
SIGNATURE, MAX_LENGTH = 20, 800

_FOOTERS = {
    ("en", False): "Unsubscribe from digests to this address:",
    ("de", False): "Zusammenfassungen an diese Adresse abbestellen:",
    ("en", True): "You receive this because you are in Cc. Receive no more mails about this ticket:",
    ("de", True): "Sie erhalten diese Nachricht, weil Sie in Kopie stehen. Keine weiteren zu diesem Ticket:",
    ("fr", False): "Ne plus recevoir de récapitulatifs à cette adresse :",
    ("es", False): "Dejar de recibir resúmenes en esta dirección:",
    ("it", False): "Non ricevere più riepiloghi a questo indirizzo:",
    ("pt", False): "Deixar de receber resumos neste endereço:",
    ("nl", False): "Geen overzichten meer ontvangen op dit adres:",
    ("pl", False): "Rezygnacja z podsumowań wysyłanych na ten adres:",
    ("fr", True): "Vous recevez ce message parce que vous êtes en copie. Ne plus recevoir de messages sur ce ticket :",
    ("es", True): "Recibe este mensaje porque figura en copia. No recibir más mensajes sobre esta solicitud:",
    ("it", True): "Riceve questo messaggio perché è in copia. Non ricevere altri messaggi su questa richiesta:",
    ("pt", True): "Recebe esta mensagem porque está em cópia. Não receber mais mensagens sobre este pedido:",
    ("nl", True): "U ontvangt dit bericht omdat u in kopie staat. Geen berichten meer over dit ticket ontvangen:",
    ("pl", True): "Otrzymują Państwo tę wiadomość jako kopię. Rezygnacja z dalszych wiadomości o tym zgłoszeniu:",
}


class InvalidToken(NotFound):
    """The link is not one that this installation made."""


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """What a link ends: the digests of an address, or with a ticket its mails to that address in Cc."""

    address: str
    ticket_id: int = 0


def make_token(key: bytes, what: Unsubscribe) -> str:
    """Return the token of a link."""
    content = json.dumps([what.address.lower(), what.ticket_id], ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_signature(key, content) + content).decode().rstrip("=")


def read_token(key: bytes, token: str) -> Unsubscribe:
    """Return what a token ends. Raises InvalidToken."""
    try:
        if not key or len(token) > MAX_LENGTH or not token.isascii():
            raise ValueError
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        signature, content = raw[:SIGNATURE], raw[SIGNATURE:]
        if not hmac.compare_digest(signature, _signature(key, content)):
            raise ValueError
        address, ticket_id = json.loads(content)
        return Unsubscribe(str(address), int(ticket_id))
    except (ValueError, TypeError, binascii.Error):
        raise InvalidToken("this unsubscribe link is not valid; copy the whole link from the mail") from None


def footer(language: str, what: Unsubscribe, url: str) -> str:
    """Return the lines below a mail."""
    text = _FOOTERS[supported_language(language, "cc"), bool(what.ticket_id)]
    return f"\n{text}\n{url}\n"


def _signature(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, b"unsubscribe\0" + content, hashlib.sha256)[:SIGNATURE]
