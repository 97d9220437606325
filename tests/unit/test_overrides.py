"""Which sensors an override is for, and which of several wins."""

import pytest

from alerts.overrides import applied, covers
from lifeline.storage.baselines import Override
from lifeline.storage.window import AssetRow, SensorRow

RULE = "methane.level"
ZONES = {
    "Z": {1, 2},
    "Y": {3},
    "EMPTY": set[int](),
}


def asset(number: int, kind: str = "chamber", network: str = "gas") -> AssetRow:
    return AssetRow(
        number,
        f"K-{number}",
        network,
        kind,
        None,
        None,
        None,
        None,
        {},
    )


def sensor(
    number: int, network: str = "gas", at: int | None = None, limits: dict[str, object] | None = None
) -> SensorRow:
    return SensorRow(
        number,
        number,
        "methane",
        network,
        True,
        None,
        limits or {},
        asset_id=at,
        name=f"rtu-{number}/methane",
    )


@pytest.mark.parametrize(
    ("scope", "target", "covered"),
    [
        ("network", "gas", True),
        ("network", "water", False),
        ("asset_kind", "chamber", True),
        ("asset_kind", "pipe", False),
        ("zone", "Z", True),
        ("zone", "Y", False),
        ("zone", "EMPTY", False),
        ("zone", "none", False),
        ("asset", "K-7", True),
        ("asset", "K-8", False),
        ("sensor", "rtu-1/methane", True),
        ("sensor", "rtu-2/methane", False),
    ],
)
def test_an_override_covers_what_lies_in_its_place(scope: str, target: str, covered: bool) -> None:
    one = Override(RULE, scope, target, {"red": 2.0})
    assert covers(one, sensor(1, at=7), asset(7), ZONES) is covered


@pytest.mark.parametrize("scope", ["asset_kind", "asset"])
def test_a_sensor_that_stands_nowhere_has_no_asset_to_be_covered_by(scope: str) -> None:
    for target in ("chamber", "K-7", ""):
        assert not covers(Override(RULE, scope, target, None), sensor(1), None, ZONES)


LADDER = [
    Override(RULE, "network", "gas", {"red": 1.0}),
    Override(RULE, "asset_kind", "chamber", {"red": 2.0}),
    Override(RULE, "zone", "Z", {"red": 3.0}),
    Override(RULE, "asset", "K-7", {"red": 4.0}),
    Override(RULE, "sensor", "rtu-1/methane", {"red": 5.0}),
]


@pytest.mark.parametrize(
    ("used", "red"),
    [
        (1, 1.0),
        (2, 2.0),
        (3, 3.0),
        (4, 4.0),
        (5, 5.0),
    ],
)
def test_the_narrowest_of_several_wins(used: int, red: float) -> None:
    (row,) = applied([sensor(1, at=7)], [asset(7)], LADDER[:used], ZONES)
    assert row.limits["rules"] == {RULE: {"red": red}}


def test_what_a_sensor_has_of_its_own_wins_over_every_place() -> None:
    own = {"rules": {RULE: {"red": 9.0}}, "range": [0, 10]}
    (row,) = applied([sensor(1, at=7, limits=own)], [asset(7)], LADDER, ZONES)
    assert row.limits == own


def test_a_rule_that_is_off_in_a_zone_is_off_there_and_nowhere_else() -> None:
    off = [Override(RULE, "zone", "Z", None)]
    rows = applied([sensor(number) for number in (1, 2, 3)], [], off, ZONES)
    assert [row.limits.get("rules") for row in rows] == [
        {RULE: False},
        {RULE: False},
        None,
    ]


def test_a_narrower_place_puts_a_rule_on_again_that_a_zone_put_off() -> None:
    both = [
        Override(RULE, "zone", "Z", None),
        Override(RULE, "sensor", "rtu-1/methane", {"red": 2.0}),
    ]
    first, second = applied([sensor(1), sensor(2)], [], both, ZONES)
    assert first.limits["rules"] == {RULE: {"red": 2.0}}
    assert second.limits["rules"] == {RULE: False}


def test_overrides_of_several_rules_do_not_touch_each_other() -> None:
    both = [
        Override(RULE, "zone", "Z", {"red": 2.0}),
        Override("methane.rise", "network", "gas", {"red": 0.2}),
    ]
    (row,) = applied([sensor(1)], [], both, ZONES)
    assert row.limits["rules"] == {
        RULE: {"red": 2.0},
        "methane.rise": {"red": 0.2},
    }


def test_without_overrides_the_sensors_are_the_very_same() -> None:
    rows = [sensor(1), sensor(2)]
    assert applied(rows, [], [], ZONES) is rows
    untouched = applied(rows, [], [Override(RULE, "zone", "Y", None)], ZONES)
    assert untouched[0] is rows[0]
