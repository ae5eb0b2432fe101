"""The second factor of a login: time-based one-time passwords (TOTP, RFC 6238), and recovery codes.

pyotp computes the codes: it is what most Python projects use, has no dependencies, and takes part in no storage. The last
accepted time step is stored, so that a code works once (RFC 6238, 5.2). A recovery code has 80 random bits and is stored as
a digest, which needs no salt; its use deletes it.
"""

from __future__ import annotations

import secrets
import time

import pyotp
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from aura.errors import InvalidInput
from db.api_keys import digest
from db.models import RecoveryCode, User, UserSession
from db.time import now
from db.users import InvalidUser

#: Time steps of thirty seconds before and after the current one whose codes are accepted.
WINDOW = 1
#: The recovery codes of a user.
CODES = 10
ISSUER = "Aura"
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without similar characters


class WrongCode(InvalidInput):
    """The code is wrong, was used already, or belongs to another time."""


def prepare(session: Session, user_id: int) -> None:
    """Store a new seed, which takes effect when `confirm` gets a code of it. Raises InvalidInput when one is in effect."""
    prepared = update(User).where(User.id == user_id, User.totp_since.is_(None)).values(totp_seed=pyotp.random_base32())
    if session.scalar(prepared.returning(User.id)) is None:
        raise InvalidInput("a second factor is set up already; remove it first")


def pending(session: Session, user_id: int) -> tuple[str, str] | None:
    """Return the seed that waits for its confirmation, and its otpauth URI; None when there is none."""
    row = session.execute(
        select(User.name, User.totp_seed).where(User.id == user_id, User.totp_since.is_(None))
    ).first()
    if row is None or not row.totp_seed:
        return None
    return row.totp_seed, pyotp.TOTP(row.totp_seed).provisioning_uri(name=row.name, issuer_name=ISSUER)


def confirm(session: Session, user_id: int, code: str) -> list[str]:
    """Put the prepared seed into effect. Returns the recovery codes. Raises WrongCode."""
    found = pending(session, user_id)
    step = matching_step(found[0], code) if found else None
    if step is None:
        raise WrongCode("code: is wrong; check the clock of the device, and scan the picture again")
    session.execute(update(User).where(User.id == user_id).values(totp_since=now(), totp_step=step))
    return renew_codes(session, user_id)


def verify(session: Session, user_id: int, code: str) -> bool:
    """Return whether a code of the device or a recovery code is right, and use it up."""
    code = code.strip().replace(" ", "").replace("-", "").lower()
    if len(code) == 6 and code.isascii() and code.isdecimal():
        seed = session.scalar(select(User.totp_seed).where(User.id == user_id, User.totp_since.is_not(None)))
        step = matching_step(seed, code) if seed else None
        if step is None:
            return False
        used = update(User).where(User.id == user_id, (User.totp_step.is_(None)) | (User.totp_step < step))
        return session.scalar(used.values(totp_step=step).returning(User.id)) is not None
    used_code = delete(RecoveryCode).where(RecoveryCode.user_id == user_id, RecoveryCode.digest == digest(code))
    return session.scalar(used_code.returning(RecoveryCode.user_id)) is not None


def renew_codes(session: Session, user_id: int) -> list[str]:
    """Replace the recovery codes of a user. Returns them; they are not stored."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(16)) for _ in range(CODES)]
    session.add_all(RecoveryCode(user_id=user_id, digest=digest(code)) for code in codes)
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in codes]


def codes_left(session: Session, user_id: int) -> int:
    """Return the number of recovery codes that were not used."""
    return len(session.scalars(select(RecoveryCode.digest).where(RecoveryCode.user_id == user_id)).all())


def remove(session: Session, user_id: int) -> None:
    """Remove the second factor of a user, with its recovery codes."""
    session.execute(update(User).where(User.id == user_id).values(totp_seed=None, totp_since=None, totp_step=None))
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


def remove_by_name(session: Session, name: str) -> None:
    """Remove the second factor of the user with this name, and end the user's sessions. Raises InvalidUser."""
    user_id = session.scalar(select(User.id).where(User.name == name))
    if user_id is None:
        raise InvalidUser(f"no user {name[:80]!r}")
    remove(session, user_id)
    session.execute(delete(UserSession).where(UserSession.user_id == user_id))


def matching_step(seed: str, code: str) -> int | None:
    """Return the time step near the current one whose code this is."""
    totp, current = pyotp.TOTP(seed), int(time.time()) // 30
    code = code.strip().replace(" ", "")
    steps = range(current - WINDOW, current + WINDOW + 1)
    return next(
        (step for step in steps if secrets.compare_digest(totp.generate_otp(step).encode(), code.encode())), None
    )
