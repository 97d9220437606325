"""Mosquitto's password file: one `name:$7$iterations$salt$hash` a line, PBKDF2 with HMAC-SHA512."""

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Mapping

from lifeline.errors import ConfigurationError

ITERATIONS = 1000
"""Mosquitto's own are 101 (2.0) and 1000 (2.1). More slow each device's log-in: the broker has one thread."""

SALT_BYTES = 12
"""The only length that Mosquitto 2.0 reads; 2.1 reads any."""


def password_file(users: Mapping[str, str], *, iterations: int = ITERATIONS) -> str:
    """Text of the password file. Raises ConfigurationError for a name or password that Mosquitto would misread."""
    return "".join(
        f"{_checked_name(name)}:{hashed(password, secrets.token_bytes(SALT_BYTES), iterations)}\n"
        for name, password in users.items()
    )


def hashed(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """One password in the `$7$` form."""
    if not password:
        raise ConfigurationError("An MQTT password must not be empty")
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"$7${iterations}${b64encode(salt).decode()}${b64encode(digest).decode()}"


def _checked_name(name: str) -> str:
    """`+`, `#` and `/` in a name would widen the pattern `lifeline/v1/+/%u/...` to other devices' topics."""
    if not name or not name.isprintable() or any(mark in name for mark in ":+#/ "):
        raise ConfigurationError(f"{name!r} is no MQTT user name: it must not be empty or hold space : + # /")
    return name
