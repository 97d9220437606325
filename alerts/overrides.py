"""A person's limits for a place, as if each sensor there had them of its own. What a sensor has of its own wins."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from lifeline.model import JsonObject
from lifeline.storage.baselines import Override
from lifeline.storage.window import AssetRow, SensorRow

Zones = Mapping[str, set[int]]
"""Sensors of each zone, by its external id."""


def applied(
    sensors: Sequence[SensorRow], assets: Iterable[AssetRow], overrides: Sequence[Override], zones: Zones | None = None
) -> Sequence[SensorRow]:
    """The sensors with the overrides, the widest scope first, under their own limits."""
    if not overrides:
        return sensors
    by_id = {asset.asset_id: asset for asset in assets}
    return [_with(row, by_id.get(row.asset_id or 0), overrides, zones or {}) for row in sensors]


def covers(override: Override, row: SensorRow, asset: AssetRow | None, zones: Zones) -> bool:
    """Whether a sensor, at ``asset`` where it is at one, lies in the place that an override is for."""
    if override.scope == "zone":
        return row.sensor_id in zones.get(override.target, ())
    places = {("network", row.network), ("sensor", row.name)}
    if asset is not None:
        places |= {("asset_kind", asset.kind), ("asset", asset.external_id)}
    return (override.scope, override.target) in places


def _with(row: SensorRow, asset: AssetRow | None, overrides: Sequence[Override], zones: Zones) -> SensorRow:
    rules: JsonObject = {
        one.rule: False if one.limits is None else one.limits for one in overrides if covers(one, row, asset, zones)
    }
    own = row.limits.get("rules")
    return replace(row, limits=row.limits | {"rules": rules | (own if isinstance(own, dict) else {})}) if rules else row
