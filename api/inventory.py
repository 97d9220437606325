"""Routes of what the city has: assets, devices, sensors and their readings."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from api.access import Access
from api.city import City, city
from api.listings import LISTED, Form, FormChoice, listed
from api.parameters import (
    After,
    Bbox,
    Limit,
    Moment,
    Name,
    Network,
    SmallId,
    StrictRoute,
    box_of,
    decode_cursor,
    encode_cursor,
    span,
)
from lifeline.model import AssetKind, JsonObject, Quality, Role
from lifeline.storage import directory, series, topology
from lifeline.storage.database import borrow
from lifeline.storage.directory import AssetLine, DeviceLine, SensorLine
from lifeline.storage.series import Resolution

router = APIRouter(
    prefix="/api/v1", route_class=StrictRoute, tags=["inventory"], dependencies=[Depends(Access(Role.VIEWER))]
)


class AssetOut(BaseModel):
    """A physical thing of a network. ``score`` is its standing risk, 0 to 100, or null before it was computed."""

    id: str
    network: str
    kind: AssetKind
    name: str
    geometry: JsonObject
    material: str | None
    diameter_mm: float | None
    install_year: int | None
    length_m: float | None
    depth_m: float | None
    customers: int
    critical: bool
    road_class: str | None
    street: str | None
    soil: str | None
    condition: int | None
    in_service: bool
    from_asset: str | None
    to_asset: str | None
    score: float | None
    attributes: JsonObject


class AssetPage(BaseModel):
    items: list[AssetOut]
    next: str | None


class NeighbourOut(BaseModel):
    """An asset up- or downstream."""

    id: str
    kind: AssetKind
    in_service: bool


class WayOut(BaseModel):
    """Assets in the order in which they are reached; ``truncated``: there are more."""

    items: list[NeighbourOut]
    truncated: bool


Most = Annotated[int, Query(ge=1, le=topology.MOST, description="Assets at most")]


class DeviceOut(BaseModel):
    """What speaks MQTT. ``missed`` counts messages that are missing from its sequence."""

    id: str
    network: str
    name: str
    gateway: str | None
    longitude: float | None
    latitude: float | None
    status: str
    status_at: datetime | None
    last_seen: datetime | None
    missed: int


class DevicePage(BaseModel):
    items: list[DeviceOut]
    next: str | None


class Newest(BaseModel):
    """The newest reading; ``quality`` names its marks, empty for a good one."""

    ts: datetime
    value: float
    quality: list[str]


class SensorOut(BaseModel):
    """One quantity measured at one asset. ``silent``: nothing was heard for longer than ``max_silence_s``."""

    id: int
    device: str
    network: str
    channel: str
    quantity: str
    unit: str
    name: str
    asset: str | None
    asset_name: str | None
    longitude: float | None
    latitude: float | None
    in_service: bool
    max_silence_s: float
    silent: bool
    newest: Newest | None


class SensorPage(BaseModel):
    items: list[SensorOut]
    next: str | None


class AssetWithSensors(AssetOut):
    sensors: list[SensorOut]


class SeriesOut(BaseModel):
    """Readings of a span, oldest first, by column. Of raw readings each column but ``quality`` holds the value itself.

    ``truncated``: the span holds more points, and these are the newest.
    """

    sensor: int
    quantity: str
    unit: str
    resolution: Resolution
    truncated: bool
    ts: list[datetime]
    n: list[int]
    minimum: list[float]
    maximum: list[float]
    mean: list[float]
    last: list[float]
    quality: list[list[str]]


@router.get("/assets", response_model=AssetPage, responses=LISTED)
def list_assets(
    request: Request,
    bbox: Bbox = None,
    network: Network = None,
    kind: AssetKind | None = None,
    find: Annotated[
        str | None, Query(max_length=100, description="A part of its id, name, or of a device there")
    ] = None,
    limit: Limit = 100,
    after: After = None,
    form: FormChoice = Form.JSON,
) -> AssetPage | Response:
    """Assets in order of their entry, page by page."""
    (behind,) = decode_cursor(after, int) or (0,)
    box = box_of(bbox)
    with borrow(city(request).pool) as connection:
        found = directory.assets(
            connection, after=behind, limit=limit + 1, network=network, kind=kind, box=box, find=find
        )
    more = encode_cursor(found[limit - 1].asset_id) if len(found) > limit else None
    page = AssetPage(items=[AssetOut(**_asset(each)) for each in found[:limit]], next=more)
    return listed(request, form, page, "assets", AssetOut)


@router.get("/assets/{id}")
def get_asset(request: Request, id: Name) -> AssetWithSensors:  # noqa: A002
    """One asset with its sensors and their newest readings."""
    here = city(request)
    with borrow(here.pool) as connection:
        found = directory.asset(connection, id)
        its_sensors = directory.sensors(connection, asset=id, limit=1000)
    now = here.clock()
    return AssetWithSensors(**_asset(found), sensors=[sensor_out(each, here, now) for each in its_sensors])


def _way(request: Request, name: str, direction: topology.Direction, limit: int) -> WayOut:
    with borrow(city(request).pool) as connection:
        found = topology.way(connection, name, direction, limit)
    items = [NeighbourOut(id=e.external_id, kind=AssetKind(e.kind), in_service=e.in_service) for e in found.assets]
    return WayOut(items=items, truncated=found.truncated)


@router.get("/assets/{id}/upstream")
def list_upstream(request: Request, id: Name, limit: Most = topology.MOST) -> WayOut:  # noqa: A002
    """What feeds an asset: by the direction of a drain, under pressure every way from a source; nearest first."""
    return _way(request, id, "upstream", limit)


@router.get("/assets/{id}/downstream")
def list_downstream(request: Request, id: Name, limit: Most = topology.MOST) -> WayOut:  # noqa: A002
    """Where a drain leads; under pressure what is without service while the asset is shut; nearest first."""
    return _way(request, id, "downstream", limit)


@router.get("/devices", response_model=DevicePage, responses=LISTED)
def list_devices(
    request: Request, network: Network = None, limit: Limit = 100, after: After = None, form: FormChoice = Form.JSON
) -> DevicePage | Response:
    """Devices in order of their entry, with how they are."""
    (behind,) = decode_cursor(after, int) or (0,)
    with borrow(city(request).pool) as connection:
        found = directory.devices(connection, after=behind, limit=limit + 1, network=network)
    more = encode_cursor(found[limit - 1].device_id) if len(found) > limit else None
    page = DevicePage(items=[_device(each) for each in found[:limit]], next=more)
    return listed(request, form, page, "devices", DeviceOut)


@router.get("/sensors", response_model=SensorPage, responses=LISTED)
def list_sensors(
    request: Request,
    bbox: Bbox = None,
    network: Network = None,
    quantity: Annotated[str | None, Query(max_length=64)] = None,
    device: Annotated[str | None, Query(max_length=64)] = None,
    asset: Annotated[str | None, Query(max_length=64)] = None,
    limit: Limit = 100,
    after: After = None,
    form: FormChoice = Form.JSON,
) -> SensorPage | Response:
    """Sensors in order of their entry, with their newest readings."""
    (behind,) = decode_cursor(after, int) or (0,)
    here = city(request)
    box = box_of(bbox)
    with borrow(here.pool) as connection:
        found = directory.sensors(
            connection,
            after=behind,
            limit=limit + 1,
            network=network,
            quantity=quantity,
            device=device,
            asset=asset,
            box=box,
        )
    more = encode_cursor(found[limit - 1].sensor_id) if len(found) > limit else None
    now = here.clock()
    page = SensorPage(items=[sensor_out(each, here, now) for each in found[:limit]], next=more)
    return listed(request, form, page, "sensors", SensorOut)


@router.get("/sensors/{id}")
def getsensor_out(request: Request, id: SmallId) -> SensorOut:  # noqa: A002
    """One sensor with its newest reading."""
    here = city(request)
    with borrow(here.pool) as connection:
        return sensor_out(directory.sensor(connection, id), here, here.clock())


@router.get("/sensors/{id}/readings")
def list_readings(
    request: Request,
    id: SmallId,  # noqa: A002
    start: Annotated[Moment | None, Query(alias="from", description="Default: 24 hours before `to`")] = None,
    end: Annotated[Moment | None, Query(alias="to", description="Default: now; itself not included")] = None,
    resolution: Resolution = Resolution.AUTO,
    limit: Annotated[int, Query(ge=1, le=20_000, description="Points at most")] = 3000,
) -> SeriesOut:
    """Readings of a sensor. `auto`: raw up to 26 hours, then by 15 minutes, 1 hour and 1 day as the span grows."""
    here = city(request)
    now = here.clock()
    since, until = span(start, end, now)
    with borrow(here.pool) as connection:
        sensor = directory.sensor(connection, id)
        found = series.series(connection, id, since, until, resolution, limit, now)
    return SeriesOut(
        sensor=id,
        quantity=sensor.quantity,
        unit=_unit(here, sensor.quantity),
        resolution=found.resolution,
        truncated=found.truncated,
        ts=[each.ts for each in found.points],
        n=[each.n for each in found.points],
        minimum=[each.minimum for each in found.points],
        maximum=[each.maximum for each in found.points],
        mean=[each.mean for each in found.points],
        last=[each.last for each in found.points],
        quality=[marks(each.quality) for each in found.points],
    )


def marks(quality: int) -> list[str]:
    """Names of a reading's quality marks."""
    return [str(flag.name).lower() for flag in Quality if flag & quality]


def _asset(line: AssetLine) -> dict[str, Any]:
    return {
        "id": line.external_id,
        "network": line.network,
        "kind": line.kind,
        "name": line.name,
        "geometry": line.geometry,
        "material": line.material,
        "diameter_mm": line.diameter_mm,
        "install_year": line.install_year,
        "length_m": line.length_m,
        "depth_m": line.depth_m,
        "customers": line.customers,
        "critical": line.critical,
        "road_class": line.road_class,
        "street": line.street,
        "soil": line.soil,
        "condition": line.condition,
        "in_service": line.in_service,
        "from_asset": line.from_asset,
        "to_asset": line.to_asset,
        "score": line.score,
        "attributes": line.attributes,
    }


def _device(line: DeviceLine) -> DeviceOut:
    return DeviceOut(
        id=line.external_id,
        network=line.network,
        name=line.name,
        gateway=line.gateway,
        longitude=line.longitude,
        latitude=line.latitude,
        status=line.status,
        status_at=line.status_at,
        last_seen=line.last_seen,
        missed=line.missed,
    )


def sensor_out(line: SensorLine, here: City, now: datetime) -> SensorOut:
    """A sensor as the API shows it at ``now``."""
    quantity = here.catalogue.quantities.get(line.quantity)
    longest = line.max_silence_s or (quantity.max_silence_s if quantity else 0.0)
    newest = None
    if line.ts is not None and line.value is not None:
        newest = Newest(ts=line.ts, value=line.value, quality=marks(line.quality or 0))
    return SensorOut(
        id=line.sensor_id,
        device=line.device,
        network=line.network,
        channel=line.channel,
        quantity=line.quantity,
        unit=quantity.unit if quantity else "",
        name=line.name,
        asset=line.asset,
        asset_name=line.asset_name,
        longitude=line.longitude,
        latitude=line.latitude,
        in_service=line.in_service,
        max_silence_s=longest,
        silent=line.ts is None or (now - line.ts).total_seconds() > longest,
        newest=newest,
    )


def _unit(here: City, quantity: str) -> str:
    known = here.catalogue.quantities.get(quantity)
    return known.unit if known else ""
