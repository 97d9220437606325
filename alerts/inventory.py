"""The sensors as columns: what detectors need to know of each, in the order of the window's columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.rules import DEPTH, Ladder, order_problems
from lifeline.catalogue import Catalogue
from lifeline.model import Level, Subject, SubjectKind
from lifeline.storage.window import DeviceRow, SensorRow


class Rungs(NamedTuple):
    """The sensors (columns) that a rule is for, with limits (4 levels, red first, x columns; NaN where a level has
    none) and deadband (columns), in the quantity's unit."""

    columns: NDArray[np.int64]
    limits: NDArray[np.float32]
    deadband: NDArray[np.float32]


@dataclass(frozen=True)
class Inventory:
    """Columns over sensors (by id) and over devices (by id). ``device`` and ``gateway`` are positions, -1 for none."""

    sensor_ids: NDArray[np.int32]
    rows: Sequence[SensorRow]
    in_service: NDArray[np.bool_]
    max_silence_s: NDArray[np.float64]
    device: NDArray[np.int64]
    device_ids: NDArray[np.int32]
    gateway: NDArray[np.int64]
    by_quantity: Mapping[str, NDArray[np.int64]]
    resolution: NDArray[np.float64]
    """The step of each sensor's quantity; 0 where the catalogue does not know it."""
    _of_rules: Mapping[tuple[int, str], Any] = field(default_factory=dict)
    _rungs: dict[str, Rungs] = field(default_factory=dict)  # by rule id: they stay as long as the inventory does

    @cached_property
    def subjects(self) -> Sequence[Subject]:
        """Each column's sensor as the subject of findings: made once, as detectors name all of them each quarter."""
        return [Subject(SubjectKind.SENSOR, sensor_id) for sensor_id in self.sensor_ids.tolist()]

    @cached_property
    def quantities(self) -> NDArray[np.str_]:
        """What each column measures."""
        return np.array([row.quantity for row in self.rows], np.str_)

    @cached_property
    def networks(self) -> NDArray[np.str_]:
        """The network of each column."""
        return np.array([row.network for row in self.rows], np.str_)

    @property
    def has_own_rules(self) -> bool:
        """Whether any sensor says anything of a rule."""
        return bool(self._of_rules)

    def ladder(self, rule: Ladder) -> Rungs:
        """What a rule asks of the sensors in service that it is for.

        A sensor's own ``limits`` may say ``{"rules": {"<rule id>": {"red": 2.5}}}`` (in the quantity's unit) or
        ``{"rules": {"<rule id>": false}}``.
        """
        if rule.id not in self._rungs:
            columns = self._columns_for(rule)
            self._rungs[rule.id] = Rungs(columns, *self._limits_for(rule, columns))
        return self._rungs[rule.id]

    def own_rule(self, sensor_id: int, rule: str) -> Any:
        """What a sensor says of a rule: its limits, False where it is switched off, None where it says nothing."""
        return self._of_rules.get((sensor_id, rule)) if self._of_rules else None

    def per_sensor(self, known: Mapping[int, float]) -> NDArray[np.float64]:
        """What is known by sensor id as a column, 0 for the others."""
        values = np.zeros(len(self.sensor_ids))
        ids = np.array(list(known), np.int32)
        there = np.flatnonzero(np.isin(self.sensor_ids, ids))
        values[there] = [known[int(one)] for one in self.sensor_ids[there]]
        return values

    def _columns_for(self, rule: Ladder) -> NDArray[np.int64]:
        columns = self.by_quantity.get(rule.quantity, np.empty(0, np.int64))
        covered = [column for column in columns.tolist() if rule.covers(self.rows[column].network)]
        columns = np.asarray(covered, np.int64)
        return columns[self.in_service[columns]]

    def _limits_for(self, rule: Ladder, columns: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if rule.percent_of == DEPTH:
            depths = [self.rows[column].depth_m for column in columns.tolist()]
            scale = np.array([np.nan if depth is None else depth / 100 for depth in depths])
        else:
            scale = np.full(len(columns), 1.0 if rule.percent_of is None else float(rule.percent_of) / 100)
        limits = np.array([rule.limits.get(level.slug, np.nan) for level in Level])[:, None] * scale  # type: ignore[call-overload]
        deadband = np.nan_to_num(rule.deadband * scale)
        for place, column in enumerate(columns.tolist()):
            own = self._own(column, rule)
            if own is not None:
                limits[:, place] = own
        return limits.astype(np.float32), deadband.astype(np.float32)

    def _own(self, column: int, rule: Ladder) -> list[float] | None:
        rules = self.rows[column].limits.get("rules")
        own = rules.get(rule.id) if isinstance(rules, dict) else None
        if own is False:
            return [np.nan] * len(Level)
        if not isinstance(own, dict) or not all(isinstance(own.get(level.slug, 0), int | float) for level in Level):
            return None
        if order_problems(own, rule.when):
            return None
        return [float(own.get(level.slug, np.nan)) for level in Level]


def build_inventory(sensors: Sequence[SensorRow], devices: Sequence[DeviceRow], catalogue: Catalogue) -> Inventory:
    """Columns from rows that are in the order of their ids. A quantity that the catalogue lacks is never silent."""
    place = {row.device_id: position for position, row in enumerate(devices)}
    by_quantity: dict[str, list[int]] = {}
    for column, row in enumerate(sensors):
        by_quantity.setdefault(row.quantity, []).append(column)
    return Inventory(
        sensor_ids=np.array([row.sensor_id for row in sensors], np.int32),
        rows=sensors,
        in_service=np.array([row.in_service for row in sensors], np.bool_),
        max_silence_s=np.array([_max_silence(row, catalogue) for row in sensors], np.float64),
        resolution=np.array([_resolution(row, catalogue) for row in sensors], np.float64),
        device=np.array([place[row.device_id] for row in sensors], np.int64),
        device_ids=np.array([row.device_id for row in devices], np.int32),
        gateway=np.array(
            [-1 if row.gateway_id is None else place.get(row.gateway_id, -1) for row in devices], np.int64
        ),
        _of_rules={(row.sensor_id, rule): own for row in sensors for rule, own in _rules_of(row).items()},
        by_quantity={quantity: np.array(columns, np.int64) for quantity, columns in by_quantity.items()},
    )


def _rules_of(row: SensorRow) -> dict[str, Any]:
    rules = row.limits.get("rules")
    return rules if isinstance(rules, dict) else {}


def _resolution(row: SensorRow, catalogue: Catalogue) -> float:
    quantity = catalogue.quantities.get(row.quantity)
    return quantity.resolution if quantity else 0.0


def _max_silence(row: SensorRow, catalogue: Catalogue) -> float:
    own = row.limits.get("max_silence_s")
    if isinstance(own, int | float) and own > 0:
        return float(own)
    quantity = catalogue.quantities.get(row.quantity)
    return quantity.max_silence_s if quantity else np.inf
