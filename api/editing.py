"""Routes by which engineers edit the inventory: make, change, take out, remove; and who did what."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request
from pydantic import BaseModel, ConfigDict

from api.access import Access
from api.city import city
from api.parameters import After, Limit, Name, SmallId, StrictRoute, decode_cursor, encode_cursor
from lifeline.exchange.writers import singular
from lifeline.model import JsonObject, Role
from lifeline.principal import Principal
from lifeline.storage import devices, editing
from lifeline.storage.database import borrow
from lifeline.storage.editing import Edit, Editor
from lifeline.storage.part import PartEditor, within

router = APIRouter(
    prefix="/api/v1", route_class=StrictRoute, tags=["inventory"], dependencies=[Depends(Access(Role.ENGINEER))]
)

Engineer = Annotated[Principal, Depends(Access(Role.ENGINEER))]


class FeatureIn(BaseModel):
    """A thing as a GeoJSON Feature; its properties are those of the inventory's files."""

    model_config = ConfigDict(extra="forbid")

    type: str = "Feature"
    properties: JsonObject
    geometry: JsonObject | None = None


class FeatureChange(BaseModel):
    """What is to change: properties by their names in the inventory's files (null takes one away), the geometry."""

    model_config = ConfigDict(extra="forbid")

    type: str = "Feature"
    properties: JsonObject = {}
    geometry: JsonObject | None = None


class EditOut(BaseModel):
    """What was done: ``action`` is created, changed, retired or removed, null where all was so already; ``changes``
    gives of each field what it was and what it is."""

    what: str
    id: str
    action: str | None
    changes: dict[str, list[Any]]


class HistoryOut(BaseModel):
    """Who changed what; ``id`` is null for an import, whose ``detail`` names the file and counts."""

    at: datetime
    actor: str
    action: str
    what: str
    id: str | None
    detail: JsonObject


class HistoryPage(BaseModel):
    items: list[HistoryOut]
    next: str | None


@contextmanager
def editor_of(request: Request, key: Principal) -> Iterator[Editor]:
    """An editor of what who edits sees, whose transaction is committed when the block ends well."""
    here = city(request)
    made = Editor if key.scope.whole else PartEditor
    with borrow(here.pool) as connection:
        yield made(connection, here.catalogue, key.name, here.clock())


def _out(edit: Edit) -> EditOut:
    return EditOut(what=singular(edit.what), id=edit.name, action=edit.action, changes=edit.changes)


@router.put("/assets/{id}")
def put_asset(request: Request, id: Name, feature: FeatureIn, key: Engineer) -> EditOut:  # noqa: A002
    """Make an asset, or make it what the feature says."""
    with editor_of(request, key) as editor:
        return _out(editor.put("assets", id, feature.properties, feature.geometry))


@router.patch("/assets/{id}")
def patch_asset(request: Request, id: Name, change: FeatureChange, key: Engineer) -> EditOut:  # noqa: A002
    """Change some fields of an asset; `in_service` false takes it out, where nothing in service needs it."""
    with editor_of(request, key) as editor:
        return _out(editor.patch("assets", id, change.properties, change.geometry))


@router.delete("/assets/{id}")
def delete_asset(request: Request, id: Name, key: Engineer) -> EditOut:  # noqa: A002
    """Remove an asset that nothing is joined to, nothing measures and no record names; 409 says what does."""
    with editor_of(request, key) as editor:
        return _out(editor.remove("assets", id))


@router.put("/zones/{id}")
def put_zone(request: Request, id: Name, feature: FeatureIn, key: Engineer) -> EditOut:  # noqa: A002
    """Draw a zone, or make it what the feature says."""
    with editor_of(request, key) as editor:
        return _out(editor.put("zones", id, feature.properties, feature.geometry))


@router.patch("/zones/{id}")
def patch_zone(request: Request, id: Name, change: FeatureChange, key: Engineer) -> EditOut:  # noqa: A002
    """Change a zone's outline or some of its fields, as its status."""
    with editor_of(request, key) as editor:
        return _out(editor.patch("zones", id, change.properties, change.geometry))


@router.delete("/zones/{id}")
def delete_zone(request: Request, id: Name, key: Engineer) -> EditOut:  # noqa: A002
    """Remove a zone, with the parts that meters have in its balance; 409 where assets name it as theirs."""
    with editor_of(request, key) as editor:
        return _out(editor.remove("zones", id))


@router.put("/facilities/{id}")
def put_facility(request: Request, id: Name, feature: FeatureIn, key: Engineer) -> EditOut:  # noqa: A002
    """Make a critical facility, or make it what the feature says; what is near it is scored anew."""
    with editor_of(request, key) as editor:
        return _out(editor.put("facilities", id, feature.properties, feature.geometry))


@router.patch("/facilities/{id}")
def patch_facility(request: Request, id: Name, change: FeatureChange, key: Engineer) -> EditOut:  # noqa: A002
    """Change a facility's kind, name or place."""
    with editor_of(request, key) as editor:
        return _out(editor.patch("facilities", id, change.properties, change.geometry))


@router.delete("/facilities/{id}")
def delete_facility(request: Request, id: Name, key: Engineer) -> EditOut:  # noqa: A002
    """Remove a facility; what was near it is scored anew."""
    with editor_of(request, key) as editor:
        return _out(editor.remove("facilities", id))


@router.post("/sensors", status_code=201)
def create_sensor(request: Request, fields: Annotated[JsonObject, Body()], key: Engineer) -> EditOut:
    """Make a sensor, and its device where that is new; fields as the columns of sensors.csv."""
    name = f"{fields.get('device', '')}/{fields.get('channel', '')}"
    with editor_of(request, key) as editor:
        return _out(editor.put("sensors", name, fields, None))


@router.patch("/sensors/{id}")
def patch_sensor(
    request: Request,
    id: SmallId,  # noqa: A002
    fields: Annotated[JsonObject, Body()],
    key: Engineer,
) -> EditOut:
    """Change some fields of a sensor, as its asset, its range or whether it is in service; null takes one away."""
    with editor_of(request, key) as editor:
        return _out(editor.patch("sensors", editing.sensor_name(editor.connection, id), fields))


@router.delete("/sensors/{id}")
def delete_sensor(request: Request, id: SmallId, key: Engineer) -> EditOut:  # noqa: A002
    """Remove a sensor that has no reading and no alert; 409 where it has."""
    with editor_of(request, key) as editor:
        return _out(editor.remove("sensors", editing.sensor_name(editor.connection, id)))


@router.patch("/devices/{id}")
def patch_device(
    request: Request,
    id: Name,  # noqa: A002
    fields: Annotated[JsonObject, Body()],
    key: Engineer,
) -> EditOut:
    """Change a device's name, gateway, place or whether it is in service; makes it where `network` is given."""
    here = city(request)
    with borrow(here.pool) as connection:
        edit = partial(devices.put_device, connection, id, fields, here.catalogue, key.name, here.clock())
        return _out(edit() if key.scope.whole else within(connection, "devices", id, fields, edit))


@router.delete("/devices/{id}")
def delete_device(request: Request, id: Name, key: Engineer) -> EditOut:  # noqa: A002
    """Remove a device without sensors, with nothing behind it; 409 says what there is."""
    here = city(request)
    with borrow(here.pool) as connection:
        edit = partial(devices.remove_device, connection, id, key.name, here.clock())
        return _out(edit() if key.scope.whole else within(connection, "devices", id, {}, edit))


@router.get("/inventory/history")
def list_changes(
    request: Request,
    what: Annotated[
        str | None, Query(max_length=16, description="asset, device, sensor, zone, facility or model")
    ] = None,
    id: Annotated[str | None, Query(max_length=129, description="Of a sensor device/channel")] = None,  # noqa: A002
    limit: Limit = 100,
    after: After = None,
) -> HistoryPage:
    """Changes of the inventory, the newest first: who, when, and what each field was and became."""
    (behind,) = decode_cursor(after, int) or (None,)
    with borrow(city(request).pool) as connection:
        found = editing.history(connection, what=what, name=id, before=behind, limit=limit + 1)
    items = [
        HistoryOut(at=e.at, actor=e.actor, action=e.action, what=e.what, id=e.name, detail=e.detail)
        for e in found[:limit]
    ]
    return HistoryPage(items=items, next=encode_cursor(found[limit - 1].history_id) if len(found) > limit else None)
