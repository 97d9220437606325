"""Logging in by password as the API does, in one step, on one connection."""

from datetime import datetime

from lifeline import password as passwords
from lifeline.storage import sessions
from lifeline.storage.database import Connection
from lifeline.storage.users import User

PASSWORD = "five Different words"
"""Of everybody who logs in where the password is not what is tested."""


def authenticate(connection: Connection, name: str, password: str, address: str, now: datetime) -> User | None:
    """The user with this name and password, or None."""
    user = sessions.attempt(connection, name, address, now)
    known = user.password_hash if user else None
    if not passwords.fits(password, known) or user is None or known is None:
        return None
    fresh = passwords.hashed(password) if passwords.outdated(known) else None
    return user if sessions.accept(connection, user, address, now, fresh) else None
