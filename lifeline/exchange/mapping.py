"""A mapping file: what a source's columns, words and units are in Lifeline's terms. TOML; docs/reference/inventory.md.

Words that are the same wherever Chinese is written (铸铁 for cast_iron) are known without a mapping file.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifeline.errors import ConfigurationError
from lifeline.exchange.rows import Row

_PARTS = ("as", "crs", "encoding", "fields", "values", "units", "constants")
KINDS = ("assets", "sensors", "zones", "facilities")

UNITS = {
    "mm": 0.001, "cm": 0.01, "dm": 0.1, "m": 1.0, "km": 1000.0, "in": 0.0254, "ft": 0.3048, "mi": 1609.344,
}  # fmt: skip
_TARGET_UNIT = {"diameter_mm": 0.001, "length_m": 1.0, "depth_m": 1.0}
"""Metres in the unit of a field of Lifeline."""

WORDS: dict[str, dict[str, str]] = {
    "material": {
        "铸铁": "cast_iron", "灰口铸铁": "grey_cast_iron", "灰铸铁": "grey_cast_iron", "球墨铸铁": "ductile_iron",
        "钢": "steel", "钢管": "steel", "焊接钢管": "steel", "镀锌钢管": "galvanised_steel", "镀锌": "galvanised_steel",
        "聚乙烯": "pe", "PE": "pe", "PE100": "pe", "PE80": "pe", "HDPE": "hdpe", "高密度聚乙烯": "hdpe",
        "PVC": "pvc", "UPVC": "pvc", "PVC-U": "pvc", "聚氯乙烯": "pvc", "石棉水泥": "asbestos_cement",
        "混凝土": "concrete", "砼": "concrete", "钢筋混凝土": "reinforced_concrete", "钢筋砼": "reinforced_concrete",
        "砖": "brick", "砖砌": "brick", "陶土": "vitrified_clay", "陶管": "vitrified_clay",
    },
    "network": {"燃气": "gas", "天然气": "gas", "给水": "water", "供水": "water", "排水": "drainage",
                "雨水": "drainage", "污水": "drainage", "雨污合流": "drainage"},
    "kind": {"管段": "pipe", "管线": "pipe", "管道": "pipe", "节点": "junction", "阀门": "valve", "窨井": "chamber",
             "检查井": "chamber", "阀井": "chamber", "泵站": "pump", "水泵": "pump", "水箱": "tank", "水池": "tank",
             "调压站": "regulator", "调压箱": "regulator", "排放口": "outfall", "排口": "outfall",
             "计量分区": "dma", "汇水区": "catchment", "行政区": "district", "更新区": "renewal",
             "风险管控区": "risk_control", "韧性保护区": "resilience",
             "医院": "hospital", "学校": "school", "幼儿园": "school", "养老院": "care_home", "地铁站": "subway",
             "消防站": "fire_station", "派出所": "police", "变电站": "power", "政府": "government",
             "数据中心": "data_centre", "火车站": "station", "汽车站": "station", "市场": "market", "商场": "market"},
    "road_class": {"快速路": "trunk", "主干路": "trunk", "次干路": "main", "支路": "street",
                   "街巷": "lane", "巷": "lane"},
    "critical": {"是": "true", "否": "false"},
    "in_service": {"在用": "true", "停用": "false", "废弃": "false"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """What a mapping file says; ``fields`` maps Lifeline's names to the source's columns."""

    as_: str | None = None
    crs: str | None = None
    encoding: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)
    constants: Mapping[str, object] = field(default_factory=dict)


def read_mapping(path: Path) -> ColumnMap:
    """Read a mapping file. Raises ConfigurationError that names the entry and what is wrong with it."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    for part in data:
        if part not in _PARTS:
            raise ConfigurationError(f"{path}: {part!r} is none of {', '.join(_PARTS)}")
    for part in ("fields", "values", "units", "constants"):
        if not isinstance(data.get(part, {}), dict):
            raise ConfigurationError(f"{path}: [{part}] must be a table")
    for part in ("as", "crs", "encoding"):
        if not isinstance(data.get(part, ""), str):
            raise ConfigurationError(f"{path}: {part} must be text")
    if data.get("as", "assets") not in KINDS:
        raise ConfigurationError(f"{path}: as = {data['as']!r} is none of {', '.join(KINDS)}")
    for name, column in data.get("fields", {}).items():
        if not isinstance(column, str):
            raise ConfigurationError(f"{path}: fields.{name} must be the name of a column")
    for name, words in data.get("values", {}).items():
        if not isinstance(words, dict):
            raise ConfigurationError(f"{path}: values.{name} must be a table of words, as [values.{name}]")
    factors = {name: _factor(path, name, unit) for name, unit in data.get("units", {}).items()}
    rest = data.get("fields", {}), data.get("values", {}), factors, data.get("constants", {})
    return ColumnMap(data.get("as"), data.get("crs"), data.get("encoding"), *rest)


def _factor(path: Path, name: str, unit: object) -> float:
    if isinstance(unit, int | float) and not isinstance(unit, bool) and unit > 0:
        return float(unit)
    if unit in UNITS and name in _TARGET_UNIT:
        return UNITS[str(unit)] / _TARGET_UNIT[name]
    known = f"a number to multiply with, or for {', '.join(_TARGET_UNIT)} one of {', '.join(UNITS)}"
    raise ConfigurationError(f"{path}: units.{name} = {unit!r} must be {known}")


def apply(mapping: ColumnMap, rows: list[Row]) -> list[Row]:
    """The rows by Lifeline's names, words and units. A constant fills what a row leaves empty."""
    return [row._replace(values=_mapped(mapping, row.values)) for row in rows]


def _mapped(mapping: ColumnMap, given: Mapping[str, Any]) -> dict[str, Any]:
    taken = {column.lower() for column in mapping.fields.values()} if mapping.fields else set()
    lower = {name.lower(): value for name, value in given.items()} if mapping.fields else {}
    values = {name: value for name, value in given.items() if name.lower() not in taken} if taken else dict(given)
    for name, column in mapping.fields.items():
        values[name] = lower.get(column.lower())
    for name, constant in mapping.constants.items():
        if values.get(name) in (None, ""):
            values[name] = constant
    for name in mapping.values.keys() | WORDS.keys():
        value = values.get(name)
        if isinstance(value, str | int | float) and value != "":
            values[name] = _word(mapping, name, value)
    for name, factor in mapping.factors.items():
        values[name] = _scaled(values.get(name), factor)
    return values


def _word(mapping: ColumnMap, name: str, value: str | int | float) -> object:
    key = value.strip() if isinstance(value, str) else f"{value:g}"
    own = mapping.values.get(name, {})
    return own.get(key, WORDS.get(name, {}).get(key, value))


def _scaled(value: object, factor: float) -> object:
    """The number by the factor; what is none is left for the checks to find."""
    try:
        return float(value) * factor if value not in (None, "") and not isinstance(value, bool) else value  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value


def missing_columns(mapping: ColumnMap, rows: list[Row]) -> list[str]:
    """Columns that the mapping names and no row has."""
    have = {name.lower() for row in rows for name in row.values} if mapping.fields else set()
    return [column for column in mapping.fields.values() if rows and column.lower() not in have]
