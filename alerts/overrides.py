"""A person's limits for a place, as if each sensor there had them of its own. What a sensor has of its own wins."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lifeline.model import JsonObject
from lifeline.storage.baselines import Override
from lifeline.storage.window import AssetRow, SensorRow


def applied(
    sensors: Sequence[SensorRow], assets: Iterable[AssetRow], overrides: Sequence[Override]
) -> Sequence[SensorRow]:
    """The sensors with the overrides, the widest scope first, under their own limits."""
    if not overrides:
        return sensors
    by_id = {asset.asset_id: asset for asset in assets}
    return [_with(row, by_id.get(row.asset_id) if row.asset_id is not None else None, overrides) for row in sensors]


def _with(row: SensorRow, asset: AssetRow | None, overrides: Sequence[Override]) -> SensorRow:
    places = {("network", row.network), ("sensor", row.name)}
    if asset is not None:
        places |= {("asset_kind", asset.kind), ("asset", asset.external_id)}
    rules: JsonObject = {
        one.rule: False if one.limits is None else one.limits for one in overrides if (one.scope, one.target) in places
    }
    own = row.limits.get("rules")
    return replace(row, limits=row.limits | {"rules": rules | (own if isinstance(own, dict) else {})}) if rules else row
