"""What is found in simulated cities, over seeds: each kind of event, each fault of a sensor, and quiet days.

Every seed is another town, another weather and other places. It is learned from a week; then two quiet days at five
minutes (false alerts), the same days with sick sensors, and a day of events at twenty seconds are replayed with the
rules that ship. LIFELINE_BENCH_SEEDS says how many seeds (20).
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts import verdicts
from alerts.backtest import placer
from alerts.replay import Episode, Replay, long_form
from alerts.rules import load_rules
from lifeline.catalogue import shipped_catalogue
from simulators.scenario import parse_scenario
from tests.benchmarks.report import Row
from tests.benchmarks.simulated import DAY_S, Past, detection_of, play, wills_of

Floats = NDArray[np.float64]

SEEDS = int(os.environ.get("LIFELINE_BENCH_SEEDS", "20"))
START = 1_795_305_600.0
"""2026-11-22 00:00 UTC; each seed begins eleven days later, so that seasons change."""
QUIET_DAYS = 2.0
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "detectors.md"
MONTH_S = 30 * DAY_S
FALSE_LIMIT = 0.05
SUDDEN_S, SUDDEN_GROWTH_S = 300.0, 60.0

SCENARIO = """
title = "events"
[[event]]
kind = "gas_leak"
at_s = 60
lasts_s = 900
hole_mm = 5.0
share = 0.025
[[event]]
kind = "burst"
at_s = 1800
lasts_s = 900
hole_mm = 100
grow_s = 30
[[event]]
kind = "gas_leak"
at_s = 5400
lasts_s = 1800
hole_mm = 5.0
share = 0.025
grow_s = 1200
[[event]]
kind = "gateway_dead"
at_s = 9000
lasts_s = 600
[[event]]
kind = "inflow"
at_s = 10800
lasts_s = 1200
inflow_m3h = 600
[[event]]
kind = "blockage"
at_s = 16200
lasts_s = 5400
[[event]]
kind = "burst"
at_s = 21600
lasts_s = 3600
hole_mm = 40
grow_s = 1800
[[event]]
kind = "storm"
at_s = 27000
lasts_s = 720
depth_mm = 24
"""
LIVE_S = 32_400.0
SLOW = ("blocked sewer", "storm beyond capacity, 24 mm in 12 min")
"""Rain and sewage take their time to fill a sewer: no five minutes there."""
NAMES = {
    ("gas_leak", True): "gas leak, sudden",
    ("gas_leak", False): "gas leak, growing over 20 min",
    ("burst", True): "burst, 100 mm hole",
    ("burst", False): "burst growing to 40 mm in 30 min",
    ("blockage", True): "blocked sewer",
    ("inflow", True): "illegal inflow, 600 m3/h",
    ("storm", True): "storm beyond capacity, 24 mm in 12 min",
    ("gateway_dead", True): "dead gateway",
}


class Found(NamedTuple):
    """One event or fault: its name, seconds from where it is visible to the first alert (None: missed), the rule that
    was first, and how many alerts it had."""

    name: str
    visible: bool
    delay_s: float | None
    rule: str
    alerts: int


class Quiet(NamedTuple):
    """False risk and maintenance alerts over so many sensor-months."""

    risk: list[str]
    maintenance: list[str]
    months: float


def one_seed(seed: int) -> tuple[list[Found], Quiet]:
    """Everything of one town."""
    start = START + 11 * DAY_S * seed
    past = play(seed, parse_scenario(SCENARIO, "events", "events"), start, 7.0 + QUIET_DAYS, LIVE_S)
    week = replace(past, live_from=past.live_from - QUIET_DAYS * DAY_S)
    quiet = _replay(week, past.values, week.live_from, past.live_from, 300.0)
    found = [found for fault in FAULTS for found in _fault(week, past, fault, seed)]
    live = _replay(past, past.values, past.live_from, float(past.times[-1]), 20.0)
    verdict = _judge(past, live)
    sudden = {record["id"]: record["parameters"].get("grow_s", 0) <= SUDDEN_GROWTH_S for record in past.truth}
    for outcome in verdict.outcomes:
        name = NAMES[outcome.event.kind, sudden[outcome.event.id]]
        first = outcome.alerts[0].alert.rule if outcome.alerts else ""
        found.append(Found(name, outcome.event.visible is not None, outcome.delay_s, first, len(outcome.alerts)))
    months = len(past.town.instruments) * (QUIET_DAYS * DAY_S + LIVE_S) / MONTH_S
    false = list(quiet.book.episodes.values())
    risk = [one.alert.rule for one in false if one.alert.kind == "risk"]
    sick = [one.alert.rule for one in false if one.alert.kind == "maintenance"]
    risk += [one.alert.rule for one in verdict.false_risk]
    sick += [one.alert.rule for one in verdict.false_maintenance]
    return found, Quiet(risk, sick, months)


def _replay(taught: Past, values: Floats, first: float, last: float, step_s: float) -> Replay:
    catalogue = shipped_catalogue()
    detection = detection_of(taught, load_rules(catalogue, 3600), catalogue)
    replay = Replay(detection, wills_of(taught))
    readings = long_form(values, taught.times, taught.sensor_ids)
    replay.start(readings, first)
    replay.run(readings, first, last, step_s)
    return replay


def _judge(past: Past, replay: Replay) -> verdicts.Verdict:
    events = verdicts.events_of(past.truth)
    episodes = replay.book.episodes.values()
    sensors = len(past.town.instruments)
    return verdicts.judge(events, episodes, placer(replay.detection), sensors, past.live_from, float(past.times[-1]))


def _stuck(values: Floats, _rng: np.random.Generator) -> Floats:
    return np.full(len(values), values[0])


def _noisy(values: Floats, rng: np.random.Generator) -> Floats:
    return values + rng.normal(0, 10 * np.median(np.abs(np.diff(values))) + 0.5, len(values))


def _drifting(values: Floats, _rng: np.random.Generator) -> Floats:
    return values + np.linspace(0, 8.0, len(values))


FAULTS: tuple[tuple[str, str, Callable[[Floats, np.random.Generator], Floats]], ...] = (
    ("pressure sensor stuck", "sensor.flatline", _stuck),
    ("pressure sensor noisy", "sensor.noise", _noisy),
    ("pressure sensor drifts by 4 m a day", "sensor.drift", _drifting),
)


def _fault(
    week: Past, past: Past, fault: tuple[str, str, Callable[[Floats, np.random.Generator], Floats]], seed: int
) -> Iterator[Found]:
    name, rule, spoil = fault
    pressures = [place for place, i in enumerate(past.town.instruments) if i.quantity == "pressure"]
    column = pressures[seed % len(pressures)]
    begin = week.live_from + 6 * 3600
    rows = (past.times >= begin) & (past.times < past.live_from)
    values = past.values.copy()
    values[rows, column] = spoil(values[rows, column], np.random.default_rng(seed))
    replay = _replay(week, values, week.live_from, past.live_from, 300.0)
    mine = [one for one in replay.book.episodes.values() if one.alert.subject.id == column + 1]
    right = [one for one in mine if one.alert.rule == rule and one.raised_at >= begin]
    yield Found(name, True, right[0].raised_at - begin if right else None, _others(mine, rule), len(mine))


def _others(mine: Sequence[Episode], rule: str) -> str:
    """The rule, or the others that spoke beside it."""
    risk = sorted({one.alert.rule for one in mine if one.alert.kind == "risk"})
    return rule if not risk else f"{rule} (and {', '.join(risk)})"


def rows() -> Iterator[Row]:
    """Over all seeds; the table is also written into docs/reference/detectors.md."""
    found: dict[str, list[Found]] = defaultdict(list)
    risk, sick, months = [], [], 0.0
    for seed in range(1, SEEDS + 1):
        events, quiet = one_seed(seed)
        for one in events:
            found[one.name].append(one)
        risk, sick, months = risk + quiet.risk, sick + quiet.maintenance, months + quiet.months
    _write(found, risk, sick, months)
    for name, ones in found.items():
        seen = [one for one in ones if one.visible]
        delays = [one.delay_s for one in seen if one.delay_s is not None]
        yield Row(f"{name}: found", len(delays), f"of {len(seen)} visible", limit="all", ok=len(delays) == len(seen))
        if delays:
            sudden = "growing" not in name and not name.startswith("pressure sensor") and name not in SLOW
            limit, longest = (f"< {SUDDEN_S:g} s", max(delays)) if sudden else ("", max(delays))
            yield Row(f"{name}: median delay", median(delays), "s")
            yield Row(f"{name}: longest delay", longest, "s", limit=limit, ok=longest < SUDDEN_S if sudden else None)
    rate = len(risk) / months
    yield Row("false risk alerts", rate, "a sensor-month", limit=f"< {FALSE_LIMIT}", ok=rate < FALSE_LIMIT)
    yield Row("false maintenance alerts", len(sick) / months, "a sensor-month")


def _write(found: dict[str, list[Found]], risk: list[str], sick: list[str], months: float) -> None:
    lines = ["| event | visible | found | delay, median | delay, longest | alerts each | first found by |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, ones in found.items():
        seen = [one for one in ones if one.visible]
        delays = [one.delay_s for one in seen if one.delay_s is not None]
        by: dict[str, int] = defaultdict(int)
        for one in seen:
            if one.delay_s is not None:
                by[one.rule] += 1
        who = ", ".join(f"{rule} {count}" for rule, count in sorted(by.items(), key=lambda item: -item[1]))
        shown = [verdicts.duration(median(delays)), verdicts.duration(max(delays))] if delays else ["-", "-"]
        each = median([one.alerts for one in seen]) if seen else 0
        lines.append(f"| {name} | {len(seen)} | {len(delays)} | {' | '.join(shown)} | {each:g} | {who or '-'} |")
    lines += ["", f"{SEEDS} seeds, {months:.3g} sensor-months. False risk alerts: {_counted(risk)}"]
    lines[-1] += f", {len(risk) / months:.2g} a sensor-month; false maintenance alerts: {_counted(sick)}."
    page = PAGE.read_text(encoding="utf-8")
    marks = "<!-- measured -->", "<!-- end -->"
    text = f"{marks[0]}\n" + "\n".join(lines) + f"\n{marks[1]}"
    PAGE.write_text(re.sub(f"{marks[0]}.*{marks[1]}", lambda _: text, page, flags=re.DOTALL), encoding="utf-8")


def _counted(rules: list[str]) -> str:
    by = {rule: rules.count(rule) for rule in sorted(set(rules))}
    return f"{len(rules)}" + (f" ({', '.join(f'{rule} {count}' for rule, count in by.items())})" if by else "")
