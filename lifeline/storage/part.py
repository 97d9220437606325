"""Edits of the inventory by somebody who has a part of the city: what he edits and names lies in it before and after.

An edit works past the policies, since what it does (in which zones a thing lies, what its neighbours risk) reaches
beyond any part; the policies themselves then say whether it stayed within. Where not, nothing is stored.
"""

from collections.abc import Callable, Mapping
from typing import Any

from lifeline.errors import ConflictError, NotFoundError, OutsideError
from lifeline.exchange.writers import singular
from lifeline.model import JsonObject
from lifeline.storage import export
from lifeline.storage.behalf import beyond
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.editing import Edit, Editor, Fields
from lifeline.storage.queries import load

_SQL = load("part")
_NAMED = {"from": "assets", "to": "assets", "asset": "assets", "device": "devices", "gateway": "devices",
          "zone": "zones"}  # fmt: skip
"""Fields that name another thing, and of which kind it is."""


class PartEditor(Editor):
    """As another editor, within the part of the city that the connection is held to; raises as ``within`` does."""

    def put(self, what: str, name: str, fields: Fields, geometry: JsonObject | None) -> Edit:
        """Make a thing, or make it what ``fields`` say."""
        edit = super().put
        return within(self.connection, what, name, fields, lambda: edit(what, name, fields, geometry))

    def patch(self, what: str, name: str, fields: Fields, geometry: JsonObject | None = None) -> Edit:
        """Change these fields and no others."""
        edit = super().patch
        return within(self.connection, what, name, fields, lambda: edit(what, name, fields, geometry))

    def remove(self, what: str, name: str) -> Edit:
        """Take a thing away."""
        edit = super().remove
        return within(self.connection, what, name, {}, lambda: edit(what, name))


def within(connection: Connection, what: str, name: str, fields: Mapping[str, Any], edit: Callable[[], Edit]) -> Edit:
    """Do an edit of a thing (``what``: assets, sensors or devices) on a connection that is held to a scope.

    In the caller's transaction, which he rolls back where this raises: NotFoundError for what lies outside, as for what
    is not there; OutsideError for what would come to lie outside; ConflictError without names of what is in the way.
    """
    before = _known(connection, what, name)
    _check_named(connection, fields, before)
    try:
        with beyond(connection):
            done = edit()
    except ConflictError:
        reason = "what is joined to it, measures it or is recorded of it stands against that"
        raise ConflictError(f"{singular(what)} {name!r} cannot be edited so: {reason}") from None
    # What is out of service lies in no zone: that alone does not take a thing out of one's part.
    stays = done.action in (None, "removed") or done.changes.keys() == {"in_service"}
    if not stays and not _sees(connection, what, name):
        raise OutsideError(f"{singular(what)} {name!r} would lie outside your part of the city")
    return done


def _known(connection: Connection, what: str, name: str) -> Mapping[str, Any]:
    """The fields of a thing as it is, none where there is none. Raises NotFoundError for one that lies outside."""
    if _sees(connection, what, name):
        if what == "devices":
            return {}
        with beyond(connection):  # its ends may lie outside
            return export.existing(connection, what, name).values
    with beyond(connection):
        there = _sees(connection, what, name)
    if there:
        raise NotFoundError(f"there is no {singular(what)} {name!r}")
    return {}


def _check_named(connection: Connection, fields: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """What the fields name anew lies within. What is not there at all is for the edit to refuse, or to make."""
    if (fields.get("balance", before.get("balance")) or "") != (before.get("balance") or ""):
        raise OutsideError("a meter's part in the balance of a zone is set by who has the whole city")
    for field, what in _NAMED.items():
        other = fields.get(field)
        if other is None or other == before.get(field) or _sees(connection, what, str(other)):
            continue
        with beyond(connection):
            there = _sees(connection, what, str(other))
        if there:
            raise NotFoundError(f"{field}: there is no {singular(what)} {other!r}")


def _sees(connection: Connection, what: str, name: str) -> bool:
    with storage_errors():
        row = connection.execute(_SQL[what], {"name": name}).fetchone()
    return bool(row and row[0])
