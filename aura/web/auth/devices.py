"""Device cookies: a browser in which a user logged in before is recognised at the next login.

Failures of such a device count for it alone, so that the guesses of others never lock its user out (OWASP, "Slow Down Online
Guessing Attacks with Device Cookies"). The cookie holds the user, a random name of the device and a time, signed with the key
of the installation; it gives no access.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

from fastapi import Request, Response

#: Seconds for which a device is recognised.
DEVICE_SECONDS = 180 * 86_400
MAX_LENGTH = 200


def cookie_name(user_id: int, secure: bool) -> str:
    """Return the name of the cookie; a browser may have one for each of several users."""
    return f"{'__Host-' if secure else ''}aura_device_{user_id}"


def known_device(request: Request, key: bytes, user_id: int, secure: bool) -> str | None:
    """Return the name of the device when the user logged in with it before, else None."""
    value = request.cookies.get(cookie_name(user_id, secure), "")
    device, _, rest = value.partition(".")
    issued, _, signature = rest.partition(".")
    if len(value) > MAX_LENGTH or not value.isascii() or not issued.isdecimal():
        return None
    if not hmac.compare_digest(signature, _signature(key, user_id, device, issued)):
        return None
    return device if time.time() - int(issued) < DEVICE_SECONDS else None


def remember_device(response: Response, key: bytes, user_id: int, device: str | None, secure: bool) -> None:
    """Set the cookie of a device, which is new unless it is known."""
    device, issued = device or secrets.token_urlsafe(12), str(int(time.time()))
    response.set_cookie(
        cookie_name(user_id, secure),
        f"{device}.{issued}.{_signature(key, user_id, device, issued)}",
        max_age=DEVICE_SECONDS,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def _signature(key: bytes, user_id: int, device: str, issued: str) -> str:
    return hmac.new(key, f"device\0{user_id}\0{device}\0{issued}".encode(), hashlib.sha256).hexdigest()
