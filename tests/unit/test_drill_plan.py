"""What a drill is: files of teams with errors by line, plans as JSON, spans of time, and when a monthly drill comes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.drills.calendar import last_occurrence, next_occurrence
from lifeline.drills.plan import STEPS, Plan, Task, Team, parse_teams, plan_of, seconds_of
from lifeline.errors import ConfigurationError
from lifeline.response import Step

TEAMS = """
[[team]]
name = "燃气抢修 Gas crew"
department = "燃气公司"
endpoint = "gas-crew"

[[team.task]]
text = "到场警戒 Cordon off"
step = "on_site"
network = "gas"
within_s = 900

[[team.task]]
text = "处置 Repair"
step = "handled"

[[team]]
name = "值班 Duty"
"""


def test_a_file_of_teams_is_read_with_its_tasks() -> None:
    crew, duty = parse_teams(TEAMS)
    assert crew == Team(
        "燃气抢修 Gas crew",
        "燃气公司",
        "gas-crew",
        (Task("到场警戒 Cordon off", Step.ON_SITE, "gas", 900.0), Task("处置 Repair", Step.HANDLED)),
    )
    assert duty == Team("值班 Duty")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('step = "on_site"', 'step = "onsite"', "line 7: team 1, task 1: step 'onsite' is none of confirmed"),
        ('step = "handled"', 'step = "received"', "line 13: team 1, task 2: step 'received' is none of"),
        ("within_s = 900", 'within_s = "soon"', "line 7: team 1, task 1: within_s must be a number from 1 to 86400"),
        ("within_s = 900", "within_s = nan", "line 7: team 1, task 1: within_s must be a number"),
        ("within_s = 900", "within_s = true", "line 7: team 1, task 1: within_s must be a number"),
        ('name = "值班 Duty"', 'nom = "值班"', "line 17: team 2: name is missing"),
        ('name = "值班 Duty"', 'nom = "值班"', "line 17: team 2: unknown key 'nom'"),
        (
            'name = "值班 Duty"',
            'name = "燃气抢修 Gas crew"',
            "line 17: team 2: the name '燃气抢修 Gas crew' is borne twice",
        ),
        ('text = "处置 Repair"', 'txt = "x"', "line 13: team 1, task 2: text is missing"),
        ('text = "处置 Repair"', "text = 7", "line 13: team 1, task 2: text must be text"),
        ('department = "燃气公司"', 'department = "a\\u0007b"', "line 2: team 1: department must be text"),
        ("[[team]]", "[team]", "not TOML"),
        (TEAMS, "", "no [[team]]"),
        (TEAMS, "team = 3", "teams are written as [[team]]"),
        (TEAMS, "crew = 1\n" + TEAMS, "unknown key 'crew'"),
        (TEAMS, '[[team]]\nname = "a"\ntask = "x"', "line 1: team 1: tasks are written as [[team.task]]"),
    ],
)
def test_a_mistake_in_a_file_of_teams_is_told_with_its_line(before: str, after: str, words: str) -> None:
    assert before in TEAMS
    with pytest.raises(ConfigurationError) as caught:
        parse_teams(TEAMS.replace(before, after, 1), "teams.toml")
    assert words in str(caught.value)
    assert "teams.toml" in str(caught.value)


def test_every_mistake_of_a_file_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_teams(TEAMS.replace("on_site", "there").replace('name = "值班 Duty"', 'name = ""'))
    assert len(str(caught.value).splitlines()) == 2


plans = st.builds(
    Plan,
    scenario=st.sampled_from(["burst", "chain-burst-gas"]),
    teams=st.lists(
        st.builds(
            Team,
            name=st.text("abc 值班", min_size=1, max_size=9).map(str.strip).filter(bool),
            tasks=st.lists(
                st.builds(
                    Task,
                    text=st.sampled_from(["关阀", "Cordon off"]),
                    step=st.sampled_from(STEPS),
                    within_s=st.none() | st.floats(1, 86_400),
                ),
                max_size=3,
            ).map(tuple),
        ),
        max_size=4,
        unique_by=lambda team: team.name,
    ).map(tuple),
    seed=st.integers(0, 2**31 - 1),
    speed=st.floats(0.1, 100),
    lasts_s=st.floats(30, 86_400),
    keep=st.booleans(),
)


@given(plans)
def test_a_plan_that_is_stored_is_read_back_as_it_was(plan: Plan) -> None:
    assert plan_of(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scenario": "Burst!"}, "scenario must be the name of one"),
        ({"scenario": None}, "scenario must be the name of one"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"speed": 0}, "speed must be a number from 0.1 to 100"),
        ({"lasts_s": 10}, "lasts_s must be a number from 30 to 86400"),
        ({"keep": 1}, "keep must be true or false"),
        ({"teams": "all"}, "teams are written as"),
        ({"teams": [{"name": "a"}] * 51}, "50 teams at most"),
        ({"teams": [{"name": "a", "tasks": [{"text": "t", "step": "archived"}]}]}, "team 1, task 1: step 'archived'"),
        ({"colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_with_the_reason(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan_of({**Plan("burst").to_json(), **change})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("30min", 1800), ("1.5h", 5400), ("45", 45), (" 2 m ", 120)]
)
def test_a_span_of_time_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10s", "25h", "-5m", "1d"])
def test_a_span_that_is_none_or_makes_no_drill_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        seconds_of(text)


SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_a_monthly_drill_comes_by_the_citys_own_clock() -> None:
    now = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
    assert next_occurrence(15, time(14, 30), SHANGHAI, now) == datetime(2026, 12, 15, 6, 30, tzinfo=UTC)
    assert last_occurrence(15, time(14, 30), SHANGHAI, now) == datetime(2026, 11, 15, 6, 30, tzinfo=UTC)
    # Still November in UTC, already December in the city.
    late = datetime(2026, 11, 30, 17, 0, tzinfo=UTC)
    assert next_occurrence(1, time(0, 30), SHANGHAI, late) == datetime(2027, 1, 1, 0, 30, tzinfo=SHANGHAI) - timedelta(
        0
    )
    assert last_occurrence(1, time(0, 30), SHANGHAI, late) == datetime(2026, 12, 1, 0, 30, tzinfo=SHANGHAI)


@given(
    st.integers(1, 28),
    st.times().map(lambda at: replace_second(at)),
    st.sampled_from([SHANGHAI, ZoneInfo("Europe/Berlin"), UTC]).map(lambda zone: ZoneInfo(str(zone))),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),
)
def test_the_last_and_the_next_moment_of_a_schedule_hold_now_between_them(
    day: int, at: time, zone: ZoneInfo, now: datetime
) -> None:
    last, following = last_occurrence(day, at, zone, now), next_occurrence(day, at, zone, now)
    assert last <= now < following
    assert timedelta(days=27) < following - last < timedelta(days=32)
    assert last_occurrence(day, at, zone, following) == following


def replace_second(at: time) -> time:
    return at.replace(second=0, microsecond=0)


def test_a_team_without_tasks_takes_part_all_the_same() -> None:
    plan = Plan("burst", (Team("值班"),))
    assert plan_of(replace(plan, keep=True).to_json()).teams == plan.teams
