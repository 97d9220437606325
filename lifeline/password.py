"""Passwords as argon2id hashes. Checking one takes the same time whether there is such a user or not."""

from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError

SHORTEST = 12
"""Characters; NIST SP 800-63B asks for 8 where there is a second factor, and 15 where there is none and no lock-out."""
LONGEST = 256

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)
"""19 MiB and two passes, as OWASP's Password Storage Cheat Sheet has it: about 30 ms, on a server with other work."""
_AT_ONCE = BoundedSemaphore(2)
"""So that a flood of wrong passwords takes two processors at most."""


def weakness(password: str, name: str = "") -> str | None:
    """Why a password will not do, or None where it will."""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"a password has {SHORTEST} to {LONGEST} characters"
    if len(set(password)) < 5:
        return "a password has at least five different characters"
    if name and name.lower() in password.lower():
        return "a password must not hold the user's name"
    return None


def hashed(password: str) -> str:
    """Its hash, with salt and parameters."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def fits(password: str, known: str | None) -> bool:
    """Whether a password is the one of this hash. Without a hash it takes as long, and fits nothing."""
    with _AT_ONCE:
        try:
            return _HASHER.verify(_nobody() if known is None else known, password[: LONGEST + 1]) and known is not None
        except (Argon2Error, InvalidHashError):
            return False


def outdated(known: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(known)


@cache
def _nobody() -> str:
    return _HASHER.hash("the password of nobody")
