"""Findings against open alerts, without a database: a small world that opens and changes alerts as storage does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts.reconciliation import Key, Plan, reconcile
from alerts.rules import load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Alert, AlertKind, AlertState, Finding, Level, Subject, SubjectKind

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULES = {rule.id: rule for rule in load_rules(shipped_catalogue(), 3600)}
SENSOR = Subject(SubjectKind.SENSOR, 7)
RISK, SILENCE = "methane.level", "silence.sensor"


def finding(level: Level | None, rule: str = RISK, subject: Subject = SENSOR) -> Finding:
    return Finding(subject, rule, level, NOON, NOON, {"value": 1})


class World:
    """Applies plans as storage.alerts does."""

    def __init__(self) -> None:
        self.alerts: dict[Key, Alert] = {}
        self.messages: list[str] = []
        self._next = 1

    def tick(
        self, *findings: Finding, suppressed: tuple[Key, ...] = (), out_of_service: tuple[Subject, ...] = ()
    ) -> Plan:
        plan = reconcile(RULES, findings, list(self.alerts.values()), suppressed, out_of_service)
        for opening in plan.openings:
            found = opening.finding
            key = (found.subject, found.rule)
            assert key not in self.alerts
            assert found.level is not None
            self.alerts[key] = Alert(
                self._next, *key, opening.kind, "gas", found.level, AlertState.UNACK, NOON, NOON, 1, found.evidence
            )
            self._next += 1
            self.messages.append(opening.message)
        for change in plan.changes:
            key = (change.alert.subject, change.alert.rule)
            if change.message:
                self.messages.append(change.message)
            returned = None if change.step.active else NOON
            self.alerts[key] = replace(
                self.alerts[key], state=change.step.state, level=change.level, returned_at=returned
            )
            if change.step.state is AlertState.NORM:
                del self.alerts[key]
        return plan

    def only(self) -> Alert:
        (alert,) = self.alerts.values()
        return alert


def test_a_finding_opens_an_alert_once() -> None:
    world = World()
    for _ in range(3):
        world.tick(finding(Level.BLUE))
    assert world.messages == ["alert.raised"]
    assert world.only().kind is AlertKind.RISK


def test_a_level_that_changes_is_told_with_its_evidence() -> None:
    world = World()
    world.tick(finding(Level.BLUE))
    plan = world.tick(finding(Level.RED))
    assert plan.changes[0].evidence == {"value": 1}
    world.tick(finding(Level.YELLOW))
    assert world.messages == ["alert.raised", "alert.escalated", "alert.deescalated"]
    assert world.only().level is Level.YELLOW


def test_a_condition_that_comes_back_is_the_same_alert() -> None:
    world = World()
    world.tick(finding(Level.BLUE))
    world.tick(finding(None))
    assert world.only().state is AlertState.RTNUN
    world.tick()
    world.tick(finding(Level.ORANGE))
    assert (world.only().alert_id, world.only().state, world.only().level) == (1, AlertState.UNACK, Level.ORANGE)


def test_no_finding_at_all_changes_nothing() -> None:
    world = World()
    world.tick(finding(Level.BLUE))
    assert world.tick() == Plan([], [])


def test_silence_is_told_as_offline_and_online() -> None:
    world = World()
    world.tick(finding(Level.BLUE, SILENCE))
    world.tick(finding(None, SILENCE))
    assert world.messages == ["sensor.offline", "sensor.online"]


def test_a_suppressed_alert_comes_back_by_itself_or_closes() -> None:
    world = World()
    world.tick(finding(Level.BLUE, SILENCE))
    world.tick(finding(Level.BLUE, SILENCE), suppressed=((SENSOR, SILENCE),))
    assert world.only().state is AlertState.DSUPR
    world.tick(finding(Level.BLUE, SILENCE))
    assert world.only().state is AlertState.UNACK
    world.tick(finding(Level.BLUE, SILENCE), suppressed=((SENSOR, SILENCE),))
    world.tick(finding(None, SILENCE))
    world.tick(finding(None, SILENCE))
    assert world.alerts == {}
    assert world.messages == ["sensor.offline", "sensor.offline", "sensor.online"]


def test_a_sensor_at_rest_raises_nothing_and_its_alert_rests() -> None:
    world = World()
    world.tick(finding(Level.BLUE))
    world.tick(out_of_service=(SENSOR,))
    assert world.only().state is AlertState.OOSRV
    world.tick()
    assert world.only().state is AlertState.UNACK
    assert World().tick(finding(Level.RED), out_of_service=(SENSOR,)) == Plan([], [])


def test_an_alert_whose_rule_is_gone_returns() -> None:
    world = World()
    world.tick(finding(Level.BLUE))
    world.alerts = {(alert.subject, "gone"): replace(alert, rule="gone") for alert in world.alerts.values()}
    world.tick()
    assert world.only().state is AlertState.RTNUN


STEP = st.tuples(
    st.sampled_from(["none", "normal", *Level]),
    st.sampled_from([RISK, SILENCE]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, AlertState.ACKED, AlertState.SHLVD]),
)


@given(st.lists(STEP, max_size=30))
def test_there_are_never_two_open_alerts_of_one_subject_and_rule(
    steps: list[tuple[object, str, bool, bool, AlertState | None]],
) -> None:
    """And the state always agrees with whether the process is in alarm."""
    world = World()
    for what, rule, suppress, rest, by_hand in steps:
        key = (SENSOR, rule)
        if by_hand and key in world.alerts and world.alerts[key].returned_at is None:
            world.alerts[key] = replace(world.alerts[key], state=by_hand)
        found = [] if what == "none" else [finding(what if isinstance(what, Level) else None, rule)]
        plan = world.tick(*found, suppressed=(key,) if suppress else (), out_of_service=(SENSOR,) if rest else ())
        touched = [change.alert.alert_id for change in plan.changes]
        assert len(touched) == len(set(touched))
        for alert in world.alerts.values():
            if alert.state in (AlertState.UNACK, AlertState.ACKED):
                assert alert.returned_at is None
            if alert.state is AlertState.RTNUN:
                assert alert.returned_at is not None


def test_first_seen_survives_to_the_opening() -> None:
    early = replace(finding(Level.BLUE), first_seen=NOON - timedelta(minutes=9))
    plan = reconcile(RULES, [early], [])
    assert plan.openings[0].finding.first_seen == NOON - timedelta(minutes=9)
