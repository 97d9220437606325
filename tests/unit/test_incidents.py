"""Which alerts are one event: by cause, place, network and time; whatever the order in which they come."""

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.causes import Member, Neighbour, load_causes
from alerts.incidents import Plan, group, level_of, phase_of, plan, taker_of
from alerts.pipework import Pipework
from lifeline.model import Level
from lifeline.storage.incidents import OpenIncident

CAUSES = load_causes()
NOON = 1_795_262_400.0
EAST, NORTH = 117.27, 31.86
METRE_EAST, METRE_NORTH = 1 / 94_500, 1 / 111_195
CHAIN = Pipework(np.array([(pipe, end) for pipe in range(2, 200, 2) for end in (pipe - 1, pipe + 1)]).T, NORTH)
"""A street of chambers 1, 3, 5 ... 199, with pipes 2, 4 ... 198 between them."""
NOWHERE = Pipework(np.empty((2, 0), np.int64), NORTH)


def alert(
    alert_id: int,
    rule: str = "methane.level",
    *,
    x: float | None = None,
    y: float = 0.0,
    after_s: float = 0.0,
    level: Level = Level.YELLOW,
    network: str = "gas",
    **more: object,
) -> Member:
    """An alert ``x`` metres east, ``y`` north of the middle, that began so long after noon."""
    quantity = rule.partition(".")[0]
    place = (None, None) if x is None else (EAST + x * METRE_EAST, NORTH + y * METRE_NORTH)
    found = Member(
        alert_id, rule, network, level, NOON + after_s, quantity=quantity, longitude=place[0], latitude=place[1]
    )
    return replace(found, **more)  # type: ignore[arg-type]


def grouped(members: list[Member], topology: Pipework = NOWHERE) -> set[frozenset[int]]:
    return {frozenset(members[place].alert_id for place in found) for found in group(members, CAUSES, topology)}


def sizes(members: list[Member], topology: Pipework = NOWHERE) -> list[int]:
    return sorted(map(len, grouped(members, topology)))


# ------------------------------------------------------------------------------------------------ what the issue names


def burst(sensors: int = 6) -> list[Member]:
    """Pressure falls along a main within ten minutes, at sensors 400 m apart."""
    rules = ["pressure.fall", "pressure.low"]
    return [
        alert(n + 1, rules[n % 2], x=400 * n, after_s=90 * n, network="water", asset_id=1 + 2 * n)
        for n in range(sensors)
    ]


def storm(places: int = 40) -> list[Member]:
    rules = ["level.high", "ponding_depth.level", "ponding_depth.rise"]
    chance = random.Random(7)
    return [
        alert(n + 1, chance.choice(rules), x=chance.uniform(0, 6000), y=chance.uniform(0, 6000),
              after_s=chance.uniform(0, 7200), network="drainage", wet=True)
        for n in range(places)
    ]  # fmt: skip


def test_a_burst_that_six_sensors_see_is_one_incident() -> None:
    assert sizes(burst(), CHAIN) == [6]


def test_gas_that_rises_in_three_neighbouring_chambers_is_one_incident() -> None:
    chambers = [alert(n, x=120 * n, asset_id=1 + 2 * n, after_s=3600 * n) for n in range(3)]
    assert sizes(chambers, CHAIN) == [3]
    far = [*chambers, alert(9, x=2000, asset_id=61)]
    assert sizes(far, CHAIN) == [1, 3]


def test_a_storm_over_a_catchment_is_one_incident() -> None:
    assert sizes(storm()) == [40]


def test_the_same_levels_in_dry_weather_are_not_one_event() -> None:
    assert len(sizes([replace(member, wet=False) for member in storm()])) > 20
    assert len(sizes([replace(member, wet=None) for member in storm()])) > 20


def test_two_bursts_in_networks_that_no_pipe_joins_are_two_incidents() -> None:
    other = [replace(member, alert_id=100 + member.alert_id, asset_id=1000 + member.asset_id) for member in burst()]
    moved = [replace(member, latitude=(member.latitude or 0) + 1000 * METRE_NORTH) for member in other]
    joints = np.array([[1002, 1002, 1004, 1004, 1006, 1006, 1008, 1008, 1010, 1010],
                       [1001, 1003, 1003, 1005, 1005, 1007, 1007, 1009, 1009, 1011]])  # fmt: skip
    both = Pipework(np.concatenate([joints, joints - 1000], axis=1), NORTH)
    assert sizes([*burst(), *moved], both) == [6, 6]


def test_two_bursts_hours_apart_are_two_incidents() -> None:
    later = [replace(each, alert_id=each.alert_id + 10, first_seen=each.first_seen + 7200) for each in burst()]
    assert sizes([*burst(), *later], CHAIN) == [6, 6]


def test_a_burst_beside_a_drain_that_rises_without_rain_is_one_incident() -> None:
    fall = alert(1, "pressure.fall", x=0, network="water", asset_id=1)
    drain = alert(2, "level.high", x=150, after_s=600, network="drainage", wet=False)
    assert sizes([fall, drain]) == [2]
    assert sizes([fall, replace(drain, wet=True)]) == [1, 1]


def test_methane_in_a_drainage_chamber_and_in_a_gas_chamber_beside_it_are_one_incident() -> None:
    assert sizes([alert(1, x=0), alert(2, x=40, network="drainage")]) == [2]
    assert sizes([alert(1, x=0), alert(2, x=140, network="drainage")]) == [1, 1]


def test_a_slow_leak_is_one_incident_over_days_whichever_rule_sees_it_next() -> None:
    seen = [("network.anomaly", 0.0), ("pressure.burst", 20.0), ("flow.night", 44.0)]
    members = [
        alert(n, rule, x=600.0 * n, after_s=3600 * hours, network="water", quantity="flow", asset_id=1 + 4 * n)
        for n, (rule, hours) in enumerate(seen, 1)
    ]
    assert sizes(members, CHAIN) == [3]
    assert sizes([*members, alert(9, "flow.night", after_s=3600 * 200, network="water", asset_id=3)], CHAIN) == [1, 3]


def test_an_inflow_that_runs_down_a_sewer_is_one_incident_and_levels_that_are_high_by_themselves_are_not() -> None:
    members = [
        alert(n, "sewer.response", x=400.0 * n, after_s=600 * n, network="drainage", asset_id=1 + 14 * n, wet=False)
        for n in range(3)
    ]
    assert sizes(members, CHAIN) == [3]
    assert sizes([replace(each, rule="level.high", quantity="level") for each in members], CHAIN) == [1, 1, 1]


def test_alerts_without_a_place_stand_alone_unless_pipes_join_them() -> None:
    assert sizes([alert(1), alert(2)]) == [1, 1]
    assert sizes([alert(1, asset_id=1), alert(2, asset_id=3)], CHAIN) == [2]


def test_alerts_of_rules_that_no_cause_knows_belong_together_at_one_place_within_an_hour() -> None:
    strange = [alert(n, "zeta.odd", x=0, after_s=1800 * n) for n in range(3)]
    assert sizes(strange) == [3]
    assert sizes([*strange, alert(9, "zeta.odd", x=50), alert(10, "zeta.odd", x=0, after_s=99_999)]) == [1, 1, 3]


# --------------------------------------------------------------------------------------------------------- invariants


@st.composite
def alarms(draw: st.DrawFn) -> list[Member]:
    """A confusion of alerts in a square of 3 km within half a day."""
    kinds = [
        ("methane.level", "gas"), ("methane.rise", "drainage"), ("h2s.level", "drainage"), ("pressure.low", "water"),
        ("pressure.fall", "water"), ("level.high", "drainage"), ("ponding_depth.level", "drainage"),
        ("gas_pressure.low", "gas"), ("turbidity.high", "water"), ("zeta.odd", "water"),
    ]  # fmt: skip
    found = []
    for number in range(draw(st.integers(1, 25))):
        rule, network = draw(st.sampled_from(kinds))
        found.append(
            alert(
                number + 1,
                rule,
                network=network,
                x=draw(st.one_of(st.none(), st.integers(0, 3000))),
                y=draw(st.integers(0, 3000)),
                after_s=draw(st.integers(0, 43_200)),
                level=draw(st.sampled_from(Level)),
                asset_id=draw(st.integers(0, 200)),
                wet=draw(st.sampled_from([True, False, None])),
                muted=draw(st.booleans()),
            )
        )
    return found


def by_pairs(members: list[Member], topology: Pipework) -> set[frozenset[int]]:
    """The same by looking at every pair, straight from the words of ``Cause``."""
    parent = {member.alert_id: member.alert_id for member in members}

    def find(one: int) -> int:
        return one if parent[one] == one else find(parent[one])

    for a in members:
        for b in members:
            if any(one_event(a, b, cause, topology) for cause in CAUSES):
                parent[find(a.alert_id)] = find(b.alert_id)
    return {frozenset(m.alert_id for m in members if find(m.alert_id) == find(n.alert_id)) for n in members}


def one_event(a: Member, b: Member, cause: object, topology: Pipework) -> bool:
    from alerts.causes import Cause
    from alerts.proximity import plane

    assert isinstance(cause, Cause)
    if not (cause.covers(a) and cause.covers(b)) or abs(a.first_seen - b.first_seen) > cause.within_s:
        return False
    if a.asset_id and b.asset_id and cause.hops and b.asset_id in topology.within(a.asset_id, cause.hops):
        return True
    if None in (a.longitude, b.longitude):
        return False
    if cause.along and cause.along not in (a.network, b.network):
        return False
    x, y = plane(np.array([a.longitude, b.longitude]), np.array([a.latitude, b.latitude]), topology.latitude)
    apart = float(np.hypot(x[0] - x[1], y[0] - y[1]))
    spreads = not cause.along or a.network == b.network == cause.along
    joined = spreads and topology.component(a.asset_id) == topology.component(b.asset_id) != -1
    return bool(0 < cause.apart_m >= apart) or bool(joined and 0 < cause.joined_m >= apart)


@settings(max_examples=80, deadline=None)
@given(alarms())
def test_the_groups_are_those_that_all_pairs_would_give(members: list[Member]) -> None:
    assert grouped(members, CHAIN) == by_pairs(members, CHAIN)


@settings(max_examples=60, deadline=None)
@given(alarms(), st.integers(0, 2**32).map(random.Random))
def test_the_order_of_the_alerts_changes_nothing(members: list[Member], chance: random.Random) -> None:
    shuffled = list(members)
    chance.shuffle(shuffled)
    assert grouped(shuffled, CHAIN) == grouped(members, CHAIN)
    first = plan(members, [], CAUSES, CHAIN).openings
    second = plan(shuffled, [], CAUSES, CHAIN).openings
    assert sorted(first, key=lambda each: each.lead) == sorted(second, key=lambda each: each.lead)


class Town:
    """Incidents as the database keeps them: plans are carried out, tick by tick."""

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.incidents: dict[int, OpenIncident] = {}
        self.merged: dict[int, int] = {}
        self.closed: list[int] = []
        self._next = 0

    def tick(self, *raised: Member) -> Plan:
        for member in raised:
            self.members[member.alert_id] = member
        members = [each for each in self.members.values() if each.open or each.incident_id in self.incidents]
        made = plan(members, sorted(self.incidents.values(), key=lambda each: each.incident_id), CAUSES, CHAIN)
        for each in made.openings:
            self._next += 1
            self.incidents[self._next] = OpenIncident(
                self._next, 1, each.level, each.networks, each.causes, each.lead, each.first_seen
            )
            self._assign(each.alerts, self._next)
        for change in made.changes:
            incident_id = change.incident.incident_id
            if change.into is not None:
                self.merged[incident_id] = change.into
                self._assign([n for n, m in self.members.items() if m.incident_id == incident_id], change.into)
            self._assign(change.new, incident_id)
            if change.closed:
                del self.incidents[incident_id]
                self.closed.append(incident_id)
            else:
                self.incidents[incident_id] = OpenIncident(
                    incident_id, change.incident.version + 1, change.level, change.networks, change.causes,
                    change.lead, change.first_seen,
                )  # fmt: skip
        return made

    def _assign(self, alerts: list[int], incident_id: int) -> None:
        for alert_id in alerts:
            self.members[alert_id] = replace(self.members[alert_id], incident_id=incident_id)

    def partition(self) -> set[frozenset[int]]:
        open_ones = [each for each in self.members.values() if each.open]
        assert all(each.incident_id in self.incidents for each in open_ones)
        return {
            frozenset(each.alert_id for each in open_ones if each.incident_id == incident)
            for incident in self.incidents
        } - {frozenset()}


@settings(max_examples=60, deadline=None)
@given(alarms(), st.integers(0, 2**32).map(random.Random))
def test_the_order_of_arrival_changes_nothing(members: list[Member], chance: random.Random) -> None:
    at_once, one_by_one = Town(), Town()
    at_once.tick(*members)
    shuffled = list(members)
    chance.shuffle(shuffled)
    for member in shuffled:
        one_by_one.tick(member)
    assert one_by_one.partition() == at_once.partition() == grouped(members, CHAIN)


@settings(max_examples=60, deadline=None)
@given(alarms(), st.integers(0, 2**32).map(random.Random))
def test_every_open_alert_is_in_one_open_incident_and_no_open_incident_ever_splits(
    members: list[Member], chance: random.Random
) -> None:
    town = Town()
    while members or any(each.open for each in town.members.values()):
        count = chance.randint(0, 3)
        raised, members = members[:count], members[count:]
        together = town.partition()
        closing = [each for each in town.members.values() if each.open and chance.random() < 0.3]
        for each in closing:
            town.members[each.alert_id] = replace(each, open=False)
        gone = {each.alert_id for each in closing}
        town.tick(*raised)
        after = town.partition()  # checks that each open alert is in one open incident
        for before in together:
            assert before <= gone or any(before - gone <= found for found in after)
        for incident in town.incidents.values():
            inside = [m for m in town.members.values() if m.incident_id == incident.incident_id]
            assert any(m.open for m in inside)
            assert incident.level == level_of(inside)
        assert town.tick() == Plan([], []), "a second look finds nothing to do"
    assert town.incidents == {}


# ------------------------------------------------------------------------------------------------------ life of one


def only(town: Town) -> OpenIncident:
    (incident,) = town.incidents.values()
    return incident


def test_an_incident_has_the_level_of_its_worst_open_alert() -> None:
    town = Town()
    town.tick(alert(1, x=0, level=Level.BLUE))
    (grown,) = town.tick(alert(2, x=20, level=Level.RED)).changes
    assert (grown.actions, grown.level, grown.new) == (["grown", "escalated"], Level.RED, [2])
    town.members[2] = replace(town.members[2], open=False)
    (fallen,) = town.tick().changes
    assert (fallen.actions, fallen.level, fallen.message) == (["deescalated"], Level.BLUE, "incident.updated")


def test_a_muted_alert_gives_the_level_only_where_there_is_no_other() -> None:
    red = alert(1, x=0, level=Level.RED, muted=True)
    assert level_of([red]) == Level.RED
    assert level_of([red, alert(2, level=Level.BLUE)]) == Level.BLUE


def test_incidents_that_a_later_alert_joins_merge_into_the_oldest() -> None:
    town = Town()
    town.tick(alert(1, x=0))
    town.tick(alert(2, x=100))
    assert len(town.incidents) == 2
    made = town.tick(alert(3, x=50))
    kept, merged = made.changes
    assert (kept.incident.incident_id, kept.actions, kept.merged) == (1, ["absorbed", "grown"], [2])
    assert (merged.actions, merged.into, merged.message, merged.closed) == (["merged"], 1, "incident.closed", True)
    assert {each.incident_id for each in town.members.values()} == {1}


def test_an_incident_closes_with_its_last_alert_and_a_new_alert_opens_a_new_one() -> None:
    town = Town()
    town.tick(alert(1, x=0), alert(2, x=20))
    town.members[1] = replace(town.members[1], open=False)
    (quiet,) = town.tick().changes
    assert (quiet.actions, quiet.message, quiet.lead) == ([], None, 2)
    town.members[2] = replace(town.members[2], open=False)
    (closed,) = town.tick().changes
    assert (closed.actions, closed.message) == (["closed"], "incident.closed")
    town.tick(alert(3, x=0))
    assert set(town.incidents) == {2}


def test_alerts_that_only_join_an_incident_are_told_by_nobody() -> None:
    town = Town()
    told = [town.tick(each) for each in [replace(member, level=Level.YELLOW) for member in storm(64)]]
    changes = [change for made in told for change in made.changes]
    assert {tuple(change.actions) for change in changes if change.message is None} == {("grown",)}
    telling = {action for change in changes if change.message == "incident.updated" for action in change.actions}
    assert telling <= {"grown", "absorbed", "explained"}


@pytest.mark.parametrize(
    ("members", "phase"),
    [
        ([{}], "alarm"),
        ([{"active": False}], "returned"),
        ([{"active": False}, {}], "alarm"),
        ([{"silent": True}], "muted"),
        ([{"silent": True}, {"active": False}], "muted"),
        ([{"silent": True, "active": False}], "returned"),
        ([{"open": False}, {"active": False}], "returned"),
    ],
)
def test_the_phase_of_an_incident_is_that_of_its_open_alerts(members: list[dict[str, bool]], phase: str) -> None:
    assert phase_of([alert(n, **each) for n, each in enumerate(members)]) == phase  # type: ignore[arg-type]


def test_who_acknowledged_since_nobody_attended_is_the_taker() -> None:
    early = alert(1, acknowledged_at=10.0, acknowledged_by="li")
    late = alert(2, acknowledged_at=20.0, acknowledged_by="wang")
    assert taker_of([early, late], 5.0) == "wang"
    assert taker_of([early, late], 15.0) == "wang"
    assert taker_of([early], 15.0) == ""
    assert taker_of([early, late], None) == ""


def test_a_group_of_closed_and_open_alerts_keeps_what_the_closed_ones_said_of_the_cause() -> None:
    town = Town()
    town.tick(alert(1, "pressure.fall", x=0, network="water"), alert(2, "pressure.low", x=50, network="water"))
    before = only(town).causes
    town.members[1] = replace(town.members[1], open=False)
    town.tick()
    assert only(town).causes == before


def test_neighbouring_causes_are_told_apart_by_what_stands_beside() -> None:
    pipe = Neighbour("gas", "pipe", "G-12", "Long street", 4.2)
    made = plan([alert(1, x=0, network="drainage", neighbours=(pipe,))], [], CAUSES, NOWHERE)
    assert made.openings[0].causes[0]["cause"] == "gas_leak"
    made = plan([alert(1, "methane.level", x=0, network="drainage"), alert(2, "h2s.level", x=0, network="drainage")],
                [], CAUSES, NOWHERE)  # fmt: skip
    assert made.openings[0].causes[0]["cause"] == "biogas"


@pytest.mark.parametrize("hops", [0, 1, 2, 6])
def test_hops_count_pipes_and_not_the_assets_between(hops: int) -> None:
    assert CHAIN.within(51, hops) == tuple(range(51 - 2 * hops, 52 + 2 * hops))


def test_components_are_found_in_chains_rings_and_stars() -> None:
    edges = [*pairwise([9, 3, 14, 7, 1]), (1, 9), (20, 21), (20, 22), (20, 23)]
    found = Pipework(np.array(edges).T)
    assert len({found.component(each) for each in (1, 3, 7, 9, 14)}) == 1
    assert len({found.component(each) for each in (20, 21, 22, 23)}) == 1
    assert found.component(1) != found.component(20)
    assert found.component(4711) == -1
    assert found.within(4711, 3) == (4711,)


@pytest.mark.parametrize(("days", "expected"), [(1, [2]), (4, [2]), (8, [1, 1])])
def test_a_leak_that_a_second_rule_sees_days_later_is_the_same_event(days: float, expected: list[int]) -> None:
    """The balance of a day tells a leak at once, the chart of nights only after some of them."""
    first = alert(1, "flow.balance", x=0.0, network="water", asset_id=1)
    later = alert(2, "flow.night", x=300.0, after_s=days * 86_400, network="water", asset_id=11)
    assert sizes([first, later], CHAIN) == expected
