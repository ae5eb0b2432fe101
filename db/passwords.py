"""Passwords: their quality, and their hashes (argon2id).

zxcvbn judges the quality: it knows the commonest passwords, names and keyboard patterns, also in combination and with
substituted characters, which a list of words does not; its tables are part of the package. It is loaded at the first use.
"""

from __future__ import annotations

import secrets
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from aura.errors import InvalidInput

#: Characters of a password, at least and at most (OWASP ASVS 5, 6.2.1 and 6.2.9).
MIN_PASSWORD, MAX_PASSWORD = 12, 200
#: The least score of zxcvbn, from 0 to 4; 3 takes more than 10^8 guesses.
MIN_SCORE = 3
#: zxcvbn reads so many characters of the beginning and of the end: its time grows exponentially with characters such as $ and
#: @, which stand for letters; 24 of them take a third of a second, 60 take half a minute.
JUDGED = 24
#: The hash of a user without a password.
NO_PASSWORD = "!"

_hasher = PasswordHasher()


class WeakPassword(InvalidInput):
    """The password is too short, too long, or easy to guess."""


def require_strong(password: str, name: str) -> None:
    """Raise WeakPassword unless the password is hard to guess, also from the user's name."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise WeakPassword(f"password: must have {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    from zxcvbn import zxcvbn

    words = [name, *name.replace(".", " ").split(), "aura", "service desk"]
    judged = [zxcvbn(part, user_inputs=words) for part in {password[:JUDGED], password[-JUDGED:]}]
    if all(each["score"] < MIN_SCORE for each in judged):
        why = judged[0]["feedback"]["warning"].rstrip(".")
        raise WeakPassword(
            f"password: is easy to guess{f' ({why})' if why else ''}; use four unrelated words, or a generator"
        )


def hash_password(password: str, name: str, judged: bool = False) -> str:
    """Return the hash of a new password, which was judged already or is now. Raises WeakPassword."""
    if not judged:
        require_strong(password, name)
    return _hasher.hash(password)


def verify(hashed: str | None, password: str) -> bool:
    """Return whether the password has this hash. Without a hash it takes as long, and is False."""
    usable = hashed if hashed and hashed != NO_PASSWORD else _unknown_user_hash()
    try:
        right = len(password) <= MAX_PASSWORD and _hasher.verify(usable, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False
    return right and usable is hashed


@lru_cache(maxsize=1)
def _unknown_user_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe(32))
