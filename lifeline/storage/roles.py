"""The database's log-ins: one role a process, each with the rights that it needs (the migrations grant them)."""

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lifeline.errors import ConfigurationError

ROLES = {
    "ingest": "lifeline_ingest",
    "alerts": "lifeline_alerts",
    "api": "lifeline_api",
    "planning": "lifeline_planning",
}
"""Role of each process."""
READERS = ("lifeline_grafana",)
"""Roles of dashboards: they log in only where a password is given."""


def dsn_as(dsn: str, role: str, password: str) -> str:
    """The same database through another log-in. Raises ConfigurationError where ``dsn`` cannot be read."""
    try:
        return make_conninfo(dsn, user=role, password=password)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"LIFELINE_DATABASE_URL cannot be read: {str(error).strip()}") from error


def place_of(dsn: str) -> str:
    """host:port/name, without the log-in: fit for a screen and a log."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"LIFELINE_DATABASE_URL cannot be read: {str(error).strip()}") from error
    return f"{parts.get('host', 'local')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
