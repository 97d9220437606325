"""Baselines on the real database: learned from roll-ups, stored by version, never from what was alarmed."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from alerts import learning
from alerts.rules import load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.storage import baselines
from lifeline.storage.database import Connection
from tests.integration.city import NOON, add_asset, add_device, add_sensor

pytestmark = pytest.mark.usefixtures("clean_database")
CATALOGUE = shipped_catalogue()
RULES = load_rules(CATALOGUE, 3600)


def add_quarters(
    connection: Connection, sensor: int, days: float, low: float = 20.0, swing: float = 5.0, end: datetime = NOON
) -> None:
    """Roll-ups of a daily cycle up to ``end``."""
    connection.execute(
        """INSERT INTO reading_15m (sensor_id, bucket, n, minimum, maximum, mean, last)
        SELECT %(sensor)s, bucket, 15, value, value, value, value FROM (
            SELECT bucket, %(low)s + %(swing)s * sin(extract(epoch FROM bucket) / 86400 * 2 * pi())
                + 0.05 * sin(extract(epoch FROM bucket) * (3 + %(sensor)s)) AS value
            FROM generate_series(%(end)s - %(days)s * interval '1 day', %(end)s - interval '15 minutes',
                interval '15 minutes') AS bucket) AS made""",
        {"sensor": sensor, "low": low, "swing": swing, "days": days, "end": end},
    )


def add_pressure(connection: Connection, name: str) -> int:
    device = add_device(connection, f"rtu-{name}", network="water")
    return add_sensor(connection, device, "pressure", asset=add_asset(connection, name, network="water"))


def learn(connection: Connection, now: datetime = NOON) -> int:
    connection.commit()
    return learning.learn_city(connection, CATALOGUE, RULES, now.timestamp())


def test_a_sensor_with_a_week_is_ready_and_one_with_a_day_says_that_it_is_not(connection: Connection) -> None:
    old, young = add_pressure(connection, "old"), add_pressure(connection, "young")
    add_quarters(connection, old, 8)
    add_quarters(connection, young, 1)
    assert learn(connection) == 1
    told = connection.execute("SELECT sensor_id, ready, days FROM baseline_sensor ORDER BY sensor_id").fetchall()
    assert [(sensor, ready) for sensor, ready, _ in told] == [(old, True), (young, False)]
    assert told[0][2] >= 7 > told[1][2]
    assert baselines.standing(connection) == (NOON.timestamp(), 1, 2)


def test_what_was_learned_is_read_back_as_it_was(connection: Connection) -> None:
    sensor = add_pressure(connection, "a")
    add_quarters(connection, sensor, 8)
    learn(connection)
    (part,) = learning.read_parts(connection)
    (version,) = connection.execute("SELECT version FROM baseline").fetchone() or ("",)
    assert part.version == version
    assert part.baseline.sensor_ids.tolist() == [sensor]
    assert np.nanmedian(part.baseline.seasonal.median) == pytest.approx(20.0, abs=1.0)


def test_the_same_history_teaches_the_same_version_and_old_versions_are_forgotten(connection: Connection) -> None:
    sensor = add_pressure(connection, "a")
    add_quarters(connection, sensor, 8)
    for minute in range(baselines.KEPT_VERSIONS + 2):
        learn(connection, NOON + timedelta(minutes=minute))
    rows = connection.execute("SELECT version FROM baseline").fetchall()
    assert len(rows) == baselines.KEPT_VERSIONS
    assert len(set(rows)) == 1


def test_a_period_with_an_alert_does_not_teach(connection: Connection) -> None:
    calm, alarmed = add_pressure(connection, "calm"), add_pressure(connection, "alarmed")
    for sensor in (calm, alarmed):
        add_quarters(connection, sensor, 9)
    begin, end = NOON - timedelta(days=5), NOON - timedelta(days=2)
    connection.execute(
        "UPDATE reading_15m SET last = 3 WHERE sensor_id = %s AND bucket BETWEEN %s AND %s", [alarmed, begin, end]
    )
    connection.execute(
        """INSERT INTO alert (subject_kind, subject_id, rule, rule_version, kind, network, level, state, sensor_id,
            first_seen, raised_at, updated_at, returned_at, closed_at)
        VALUES ('sensor', %(sensor)s, 'pressure.low', 'x', 'risk', 'water', 1, 'NORM', %(sensor)s,
            %(begin)s, %(begin)s, %(end)s, %(end)s, %(end)s)""",
        {"sensor": alarmed, "begin": begin, "end": end},
    )
    learn(connection)
    (part,) = learning.read_parts(connection)
    place = part.baseline.sensor_ids.tolist().index(alarmed)
    assert np.nanmin(part.baseline.seasonal.median[:, place]) > 10
    assert part.baseline.days[place] < part.baseline.days[1 - place]


def test_a_part_that_the_city_does_not_have_any_more_is_forgotten(connection: Connection) -> None:
    add_quarters(connection, add_pressure(connection, "a"), 8)
    learn(connection)
    connection.execute("UPDATE baseline SET part = 'elsewhere-1'")
    learn(connection)
    assert list(baselines.newest(connection)) == ["water-1"]


def test_bytes_that_are_no_baseline_are_left_alone(connection: Connection) -> None:
    add_quarters(connection, add_pressure(connection, "a"), 8)
    learn(connection)
    assert not learning.outdated(connection)
    connection.execute("UPDATE baseline SET content = 'rubbish'")
    assert learning.read_parts(connection) == []
    assert learning.outdated(connection)


@pytest.mark.parametrize(
    ("standing", "after_s", "due"),
    [
        ((None, 0, 0), 0, True),
        ((0.0, 9, 10), 3600, False),
        ((0.0, 9, 10), 86_400, True),
        ((0.0, 1, 10), 60, False),
        ((0.0, 1, 10), 300, True),
    ],
)
def test_it_is_learned_daily_and_soon_again_while_most_are_not_ready(
    standing: tuple[float | None, int, int], after_s: float, due: bool
) -> None:
    assert learning.due(baselines.Standing(*standing), after_s) is due


def test_only_the_process_alerts_may_write_baselines(connection: Connection) -> None:
    for role, may in (("lifeline_alerts", True), ("lifeline_api", False), ("lifeline_ingest", False)):
        (told,) = connection.execute("SELECT has_table_privilege(%s, 'baseline', 'INSERT')", [role]).fetchone() or (
            None,
        )
        assert told is may
