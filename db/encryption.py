"""Encryption of secret columns: `EncryptedText` stores `enc:` and a Fernet token (AES-128-CBC with HMAC-SHA-256).

AURA_ENCRYPTION_KEYS holds the keys: the first encrypts, all decrypt. Each column has a key of its own, derived with HKDF
(RFC 5869), so a value that is copied to another column does not open there. Without the setting, SQLite has a key file
(`db.key_file`), and PostgreSQL, in development alone, plain text. Values without the prefix are read as they are: earlier
versions wrote them. `db.secret_columns` encrypts them.

Fernet of `cryptography` rather than Tink: it is one dependency with wheels for every platform, its tokens need no key
management of their own, and MultiFernet is the rotation that is wanted.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.types import TypeDecorator, TypeEngine

from aura.errors import ConfigurationError
from aura.settings import get_settings
from db import key_file

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

PREFIX = "enc:"
_SETTING = "AURA_ENCRYPTION_KEYS"


class EncryptionKeyError(ConfigurationError, DontWrapMixin):
    """No key decrypts a stored value; the message names the setting and the column, never the value."""


class EncryptedText(TypeDecorator[str]):
    """A text that is encrypted in the database; NULL and the empty text stay as they are.

    `length` limits the stored form, which has about 100 characters more than four thirds of the text; default: no limit.
    Columns with the same `label`, such as "endpoints.secret", can exchange their stored values. A comparison in SQL raises
    NotImplementedError: equal texts have different stored values.
    """

    impl = String
    cache_ok = True

    class comparator_factory(TypeDecorator.Comparator[str]):  # SQLAlchemy's name
        """Refuses comparisons with a value, but for NULL and the empty text; SQLAlchemy itself compares columns."""

        def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
            if any(isinstance(each, str | bytes | list | tuple | set) and each != "" for each in other):
                raise NotImplementedError("an encrypted column cannot be compared: store a keyed hash beside it")
            return super().operate(op, *other, **kwargs)

    def __init__(self, label: str, length: int | None = None) -> None:
        super().__init__(length)
        self.label = label

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        length: int | None = getattr(self.impl, "length", None)
        return dialect.type_descriptor(String(length) if length else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return encrypt(value, self.label) if value else value

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return decrypt(value, self.label) if value else value


def encrypt(text: str, label: str) -> str:
    """Return the stored form of a text, or the text itself when there is no key (see `available`)."""
    cipher = _cipher(_keys(), label)
    if cipher is not None:
        return PREFIX + cipher.encrypt(text.encode()).decode()
    if text.startswith(PREFIX):
        raise EncryptionKeyError(f"{_SETTING}: not set, and the new value of {label} looks encrypted: set the keys")
    return text


def decrypt(stored: str, label: str) -> str:
    """Return the text of a stored form. Raises EncryptionKeyError."""
    if not stored.startswith(PREFIX):
        return stored
    cipher = _cipher(_keys(), label)
    if cipher is None:
        raise EncryptionKeyError(f"{_SETTING}: not set, but {label} is encrypted: set the keys that encrypted it")
    from cryptography.fernet import InvalidToken

    try:
        return cipher.decrypt(stored.removeprefix(PREFIX).encode()).decode()
    except InvalidToken:
        pass
    # outside `except`: the original error has the stored value in its frames
    source = _SETTING if get_settings().encryption_keys else str(key_file.path(get_settings()))
    raise EncryptionKeyError(f"{source}: no key decrypts {label}: add the key that encrypted it to {_SETTING}")


def reencrypt(stored: str, label: str) -> str:
    """Return the value encrypted with the first key; itself if it is so already, or there is no key."""
    if not stored or not available() or current(stored, label):
        return stored
    return encrypt(decrypt(stored, label), label)


def current(stored: str, label: str) -> bool:
    """Return whether the first key encrypted the stored value. NULL and the empty text have nothing to encrypt."""
    cipher = _cipher(_keys()[:1], label)
    if not stored or cipher is None:
        return not stored
    from cryptography.fernet import InvalidToken

    try:
        cipher.decrypt(stored.removeprefix(PREFIX).encode())
    except InvalidToken:
        return False
    return stored.startswith(PREFIX)


def available() -> bool:
    """Return whether there is a key; without one, new values are stored as plain text."""
    return bool(_keys())


def _keys() -> tuple[str, ...]:
    settings = get_settings()
    given = tuple(key.get_secret_value() for key in settings.encryption_keys)
    # the file's key still decrypts after the setting is introduced
    return given + key_file.keys(settings, create=not given)


@lru_cache(maxsize=64)
def _cipher(keys: tuple[str, ...], label: str) -> MultiFernet | None:
    if not keys:
        return None
    from cryptography.fernet import Fernet, MultiFernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    def derived(key: str) -> bytes:
        return HKDF(SHA256(), length=32, salt=None, info=f"aura encryption\0{label}".encode()).derive(key.encode())

    return MultiFernet([Fernet(base64.urlsafe_b64encode(derived(key))) for key in keys])
