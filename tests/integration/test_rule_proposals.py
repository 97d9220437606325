"""Changes to rules: proposed, judged on the past by the very detectors, decided by a person, then in force."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts import nightly, review
from alerts.rules import load_rules
from alerts.tick import Watch
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import ConflictError, NotFoundError
from lifeline.model import AlertKind, Finding, Level, Subject, SubjectKind
from lifeline.storage import alerts, response, rulebook
from lifeline.storage.database import Connection
from lifeline.storage.rulebook import Change, ProposalState, Scope
from tests.integration.city import NOON, add_asset, add_device, add_reading, add_sensor, count

pytestmark = pytest.mark.usefixtures("clean_database")

RULES = load_rules(shipped_catalogue(), 3600.0)
BY_ID = {rule.id: rule for rule in RULES}
RULE = "methane.level"
SHANGHAI = ZoneInfo("Asia/Shanghai")


class Street:
    """Two chambers, one in zone Z, with a sensor each; K-1 has had a peak of 1.2 %VOL each hour of a day."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        device = add_device(connection, "rtu-1")
        self.assets = [add_asset(connection, name) for name in ("K-1", "K-2")]
        self.sensors = [
            add_sensor(connection, device, f"methane.{number}", asset=asset)
            for number, asset in enumerate(self.assets, 1)
        ]
        connection.execute(
            """INSERT INTO zone (external_id, kind, geometry, west, south, east, north)
            VALUES ('Z', 'district', '{"type": "Polygon", "coordinates": []}', 0, 0, 1, 1)"""
        )
        connection.execute("INSERT INTO zone_asset SELECT zone_id, %s, 1 FROM zone", [self.assets[0]])
        rulebook.publish(connection, review.lines(RULES, NOON))
        connection.commit()

    def day(self) -> None:
        """A reading a minute; K-1 goes to 1.2 for ten minutes of each hour."""
        self.connection.execute(
            """INSERT INTO reading (sensor_id, ts, value)
            SELECT s, %s - make_interval(mins => m), CASE WHEN s = %s AND m %% 60 < 10 THEN 1.2 ELSE 0.1 END
            FROM unnest(%s::int[]) s, generate_series(0, 1440) m""",
            [NOON, self.sensors[0], self.sensors],
        )
        self.connection.commit()

    def propose(self, scope: Scope = Scope.ZONE, target: str = "Z", **more: object) -> int:
        limits = {"yellow": 2.0, "orange": 2.6, "red": 3.0}
        return rulebook.propose(
            self.connection, RULE, scope, target, Change.LIMITS, "li", NOON, limits=limits, days=1, **more  # type: ignore[arg-type]
        )  # fmt: skip

    def judge(self, number: int) -> rulebook.Proposal:
        asked = rulebook.proposal(self.connection, number)
        effect = review.evaluate(self.connection, BY_ID, shipped_catalogue(), 3600.0, asked, NOON)
        rulebook.answer(self.connection, number, effect, NOON)
        return rulebook.proposal(self.connection, number)

    def label(self, sensor: int, peak: float, genuine: bool, at: datetime) -> None:
        finding = Finding(
            Subject(SubjectKind.SENSOR, sensor), RULE, Level.YELLOW, at, at, {"peak": peak, "value": peak}
        )
        (alert,) = alerts.raise_alerts(self.connection, [alerts.Opening(finding, "v1", AlertKind.RISK)], at)
        response.feed_back(self.connection, alert.alert_id, "wang", at, genuine=genuine)
        self.connection.execute(
            "UPDATE alert SET state = 'NORM', closed_at = %s WHERE alert_id = %s", [at, alert.alert_id]
        )


@pytest.fixture
def street(connection: Connection) -> Street:
    return Street(connection)


def test_people_see_the_rules_as_the_process_read_them(street: Street) -> None:
    found = rulebook.rule(street.connection, RULE)
    assert (found.version, found.detector, found.content["limits"]) == (
        BY_ID[RULE].version, "threshold", BY_ID[RULE].content()["limits"],
    )  # fmt: skip
    assert len(rulebook.rules(street.connection)) == len(RULES)
    rulebook.publish(street.connection, review.lines(RULES[:3], NOON + timedelta(days=1)))
    left = rulebook.rules(street.connection)
    assert len(left) == 3
    assert {each.loaded_at for each in left} == {NOON}, "a rule that has not changed holds since then"


def test_a_proposal_is_judged_on_the_past_and_in_force_once_it_is_accepted(street: Street) -> None:
    street.day()
    number = street.propose()
    with pytest.raises(ConflictError, match="nobody knows what it would do"):
        rulebook.accept(street.connection, number, "wang", NOON)
    judged = street.judge(number)
    assert judged.effect is not None
    assert judged.effect["before"]["alerts"] >= 20, "one an hour"
    assert judged.effect["after"]["alerts"] == 0
    assert (judged.effect["sensors"], judged.effect["source"]) == (1, "readings")
    rulebook.accept(street.connection, number, "wang", NOON, "seen on site")
    (standing,) = rulebook.overrides(street.connection, RULE)
    assert (standing.scope, standing.target, standing.created_by) == (Scope.ZONE, "Z", "wang")
    (change,) = rulebook.changes(street.connection)
    assert (change.before, change.after, change.proposal_id) == (None, {"limits": standing.limits}, number)
    with pytest.raises(ConflictError, match="accepted already"):
        rulebook.reject(street.connection, number, "wang", NOON)


def test_an_override_of_a_zone_holds_there_and_nowhere_else_without_a_restart(street: Street) -> None:
    watch = Watch(RULES, shipped_catalogue(), 3600.0)
    watch.tick(street.connection, NOON)
    number = street.propose()
    street.judge(number)
    rulebook.accept(street.connection, number, "wang", NOON)
    for sensor in street.sensors:
        for second in range(0, 300, 60):
            add_reading(street.connection, sensor, NOON + timedelta(seconds=second), 1.2)
    report = watch.tick(street.connection, NOON + timedelta(seconds=301))
    assert {alert.subject.id for alert in report.raised if alert.rule == RULE} == {street.sensors[1]}
    street.connection.execute("INSERT INTO zone_asset SELECT zone_id, %s, 1 FROM zone", [street.assets[1]])
    assert watch._zones == {"Z": {street.sensors[0]}}
    watch.tick(street.connection, NOON + timedelta(seconds=306))
    assert watch._zones == {"Z": set(street.sensors)}, "and when the zone grows"


def test_a_month_is_judged_on_the_roll_ups(street: Street) -> None:
    street.connection.execute(
        """INSERT INTO reading_15m (sensor_id, bucket, n, minimum, maximum, mean, last)
        SELECT %s, %s - make_interval(mins => 15 * q), 15, 0.1, CASE WHEN q %% 96 = 0 THEN 1.2 ELSE 0.1 END, 0.1, 0.1
        FROM generate_series(1, 96 * 30) q""",
        [street.sensors[0], NOON],
    )
    number = rulebook.propose(street.connection, RULE, Scope.SENSOR, "rtu-1/methane.1", Change.OFF, "li", NOON, days=30)
    effect = street.judge(number).effect
    assert effect is not None
    assert effect["source"] == "quarters"
    assert 28 <= effect["before"]["alerts"] <= 30
    assert effect["after"]["alerts"] == 0


def test_what_people_said_of_alerts_is_counted_as_kept_or_lost(street: Street) -> None:
    street.day()
    street.label(street.sensors[0], 1.2, False, NOON - timedelta(hours=2))
    street.label(street.sensors[0], 1.2, True, NOON - timedelta(hours=5))
    effect = street.judge(street.propose()).effect
    assert effect is not None
    assert effect["labels"] == {"genuine_kept": 0, "genuine_lost": 1, "false_kept": 0, "false_dropped": 1}


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"red": 1.0, "yellow": 2.0}, "must lie above"),
        ({"purple": 1.0}, "by level"),
        ({}, "by level"),
        ({"red": "high"}, "must be a number"),
    ],
)
def test_limits_that_make_no_sense_are_refused(street: Street, limits: dict[str, object], said: str) -> None:
    with pytest.raises(ConflictError, match=said):
        rulebook.propose(street.connection, RULE, Scope.ZONE, "Z", Change.LIMITS, "li", NOON, limits=limits)


def test_a_place_or_rule_that_is_not_there_and_a_change_that_changes_nothing_are_refused(street: Street) -> None:
    for scope, target in ((Scope.ZONE, "Y"), (Scope.ASSET, "K-9"), (Scope.SENSOR, "rtu-1/none"), (Scope.NETWORK, "x")):
        with pytest.raises(NotFoundError):
            street.propose(scope, target)
    with pytest.raises(NotFoundError, match="no rule"):
        rulebook.propose(street.connection, "none", Scope.ZONE, "Z", Change.OFF, "li", NOON)
    with pytest.raises(ConflictError, match="already"):
        rulebook.propose(street.connection, RULE, Scope.ZONE, "Z", Change.REMOVE, "li", NOON)


def test_what_was_changed_meanwhile_is_not_overwritten(street: Street) -> None:
    first, second = street.propose(), street.propose()
    for number in (first, second):
        street.judge(number)
    rulebook.accept(street.connection, first, "wang", NOON)
    with pytest.raises(ConflictError, match="has changed since"):
        rulebook.accept(street.connection, second, "wang", NOON)
    undo = rulebook.propose(street.connection, RULE, Scope.ZONE, "Z", Change.REMOVE, "li", NOON)
    street.judge(undo)
    rulebook.accept(street.connection, undo, "wang", NOON)
    assert rulebook.overrides(street.connection) == []
    assert [change.after is None for change in rulebook.changes(street.connection)] == [True, False]


def test_the_nightly_report_counts_labels_and_proposes_what_would_have_kept_all_that_was_genuine(
    street: Street,
) -> None:
    night = datetime(2026, 11, 21, 20, 30, tzinfo=UTC)  # half past four in the morning there
    for hour in range(6):
        street.label(street.sensors[0], 1.1 + hour / 100, False, night - timedelta(days=2, hours=hour))
    street.label(street.sensors[0], 2.0, True, night - timedelta(days=4))
    street.label(street.sensors[1], 1.1, True, night - timedelta(days=4))
    assert nightly.report(street.connection, BY_ID, night - timedelta(hours=2), SHANGHAI) == 0, "too early"
    assert nightly.report(street.connection, BY_ID, night, SHANGHAI) == 1
    assert nightly.report(street.connection, BY_ID, night, SHANGHAI) == 0, "once a day"
    lines = {each.zone: each for each in rulebook.precision(street.connection)}
    assert (lines["Z"].genuine, lines["Z"].false_alarms, lines[""].genuine) == (1, 6, 2)
    (proposal,) = rulebook.proposals(street.connection)
    assert (proposal.scope, proposal.target, proposal.proposed_by) == (Scope.ZONE, "Z", rulebook.NIGHTLY)
    assert proposal.reason == {"labels": 7, "false": 6, "genuine": 1, "precision": 0.143}
    assert proposal.limits is not None
    assert 1.15 < min(proposal.limits.values()) < 2.0
    assert count(street.connection, "rule_override") == 0, "it proposes; a person accepts"


def test_the_process_answers_with_its_own_rights(street: Street) -> None:
    street.day()
    number = street.propose()
    street.connection.execute("SET ROLE lifeline_alerts")
    assert street.judge(number).state is ProposalState.EVALUATED
    rulebook.publish(street.connection, review.lines(RULES, NOON))
    nightly.report(street.connection, BY_ID, NOON, SHANGHAI)
    street.connection.execute("RESET ROLE")
    street.connection.execute("SET ROLE lifeline_api")
    rulebook.accept(street.connection, number, "wang", NOON)
    other = rulebook.propose(street.connection, RULE, Scope.ASSET, "K-2", Change.OFF, "li", NOON)
    rulebook.reject(street.connection, other, "wang", NOON)
