"""What is found in simulated cities, over seeds: each kind of event, each fault of a sensor, and quiet days.

Every seed is another town, another weather, another season and hour, and other places. It is learned from a week; then
quiet days at five minutes (false alerts), the same days with sick sensors, and days of events at twenty seconds are
replayed with the rules that ship, and at last ten days of a slow leak. Each fault is tried in one network a seed, in
turn. ``LIFELINE_BENCH_SEEDS`` says how many seeds (20), ``LIFELINE_BENCH_FIRST`` the first of them (101: those below
are for tuning), ``LIFELINE_BENCH_CORES`` how many at a time.
"""

import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from alerts import verdicts
from alerts.backtest import placer
from alerts.replay import Episode, Replay, long_form
from alerts.rules import load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.model import AlertKind
from simulators.scenario import KINDS
from simulators.streets import to_wgs84
from tests.benchmarks.cases import Cases, incidents_of
from tests.benchmarks.faults import FAULTS, Fault, implausible, victims
from tests.benchmarks.plays import DAY_S, Past, play
from tests.benchmarks.report import Row
from tests.benchmarks.simulated import detection_of, wills_of

Floats = NDArray[np.float64]

SEEDS = int(os.environ.get("LIFELINE_BENCH_SEEDS", "20"))
FIRST = int(os.environ.get("LIFELINE_BENCH_FIRST", "101"))
CORES = int(os.environ.get("LIFELINE_BENCH_CORES", str(os.cpu_count() or 1)))
START = 1_795_305_600.0
"""2026-11-22 00:00 UTC; each seed begins in another season and at another hour."""
QUIET_DAYS, LEAK_DAYS = 1.5, 10.0
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "detectors.md"
MONTH_S = 30 * DAY_S
FALSE_LIMIT = 0.05
SUDDEN_S = 300.0


@dataclass(frozen=True, slots=True)
class Trial:
    """An event of the scenario, the rules that are right for it, and the worst level that it deserves.

    ``never`` are rules that must not speak because of it, and a level that it must not reach.
    """

    name: str
    kind: str
    at_s: float
    lasts_s: float
    right: tuple[str, ...] = ()
    levels: tuple[str, ...] = ("red", "orange", "yellow", "blue")
    sudden: bool = False
    never: tuple[str, ...] = ()
    parameters: dict[str, float] = field(default_factory=dict)
    place: str = ""

    @property
    def harmless(self) -> bool:
        """Whether nothing is to be found."""
        return not self.right

    def toml(self) -> str:
        """The event as scenarios write it."""
        keys = {"at_s": self.at_s, "lasts_s": self.lasts_s} | self.parameters
        place = f'place = "{self.place}"\n' if self.place else ""
        return f'[[event]]\nkind = "{self.kind}"\n{place}' + "".join(
            f"{key} = {value}\n" for key, value in keys.items()
        )


HOUR_S = 3600.0
SERIOUS = ("red", "orange", "yellow")
GAS = ("methane.level", "methane.rise", "methane.neighbours")
FULL = ("level.high", "sewer.overflow", "ponding_depth.level", "ponding_depth.rise")
TRIALS = tuple(
    trial
    for trial in (
        Trial("gas leak into a chamber, sudden", "gas_leak", 600, 900, GAS, SERIOUS, sudden=True,
              parameters={"hole_mm": 5.0, "share": 0.025}),
        Trial("burst, 100 mm hole", "burst", 2 * HOUR_S, 900, ("pressure.burst",), SERIOUS, sudden=True,
              parameters={"hole_mm": 100.0, "grow_s": 30.0}),
        Trial("gas leak into a chamber, growing over 20 min", "gas_leak", 4 * HOUR_S, 1800, GAS, SERIOUS,
              parameters={"hole_mm": 5.0, "share": 0.025, "grow_s": 1200.0}),
        Trial("dead gateway", "gateway_dead", 6 * HOUR_S, 900, ("silence.gateway",), ("orange",), sudden=True),
        Trial("illegal inflow, 600 m3/h", "inflow", 8 * HOUR_S, 1800, ("sewer.response", *FULL), SERIOUS,
              sudden=True, parameters={"inflow_m3h": 600.0}),
        Trial("burst growing to 40 mm in 30 min", "burst", 11 * HOUR_S, HOUR_S, ("pressure.burst",), SERIOUS,
              parameters={"hole_mm": 40.0, "grow_s": 1800.0}),
        Trial("blocked sewer", "blockage", 14 * HOUR_S, 3 * HOUR_S, ("sewer.blockage", "sewer.response", *FULL),
              SERIOUS),
        Trial("half-blocked sewer (0.95 of its section)", "blockage", 22 * HOUR_S, 12 * HOUR_S,
              ("sewer.blockage", "sewer.response", *FULL), SERIOUS, parameters={"closed": 0.95}),
        Trial("pump of an underpass stands still", "pump_failure", 36 * HOUR_S, 2700, ("pump.failure",), ("orange",),
              place="D-U-1"),
        Trial("pump of an underpass runs and moves nothing", "pump_failure", 39 * HOUR_S, 2700, ("pump.failure",),
              ("orange",), parameters={"runs": 1.0}, place="D-U-1"),
        Trial("pump of the waterworks stands still", "pump_failure", 41.5 * HOUR_S, 1800,
              ("pump.failure",), ("orange",), sudden=True, place="W-U-1"),
        Trial("storm within capacity, 8 mm in an hour", "storm", 44 * HOUR_S, HOUR_S,
              never=("rain.heavy", "sewer.overflow", "sewer.blockage", "sewer.response", "level.high",
                     "ponding_depth.level"),
              parameters={"depth_mm": 8.0}),
        Trial("storm beyond capacity, 24 mm in 12 min", "storm", 52 * HOUR_S, 720, ("rain.heavy", *FULL),
              ("red", "orange"), sudden=True, parameters={"depth_mm": 24.0}),
        Trial("biogas in hot weather", "biogas", 62 * HOUR_S, 14 * HOUR_S,
              never=("leak", "methane.rise", "methane.neighbours")),
    )
    if trial.kind in KINDS
)  # fmt: skip
LIVE_S = 78 * HOUR_S
CALM = (58 * HOUR_S, 61 * HOUR_S)
"""Of the scenario: nothing happens, and sensors are read every twenty seconds, for faults that are quick."""
LEAK = Trial("slow leak, 5 % of inflow", "leak", DAY_S, (LEAK_DAYS - 1) * DAY_S, ("flow.night", "flow.balance"))


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one event or fault in one town. ``delay_s`` from where it was visible to the first right alert."""

    name: str
    visible: bool
    delay_s: float | None = None
    rule: str = ""
    level: str = ""
    alerts: int = 0
    incidents: int = 0
    messages: int = 0
    wrong: tuple[str, ...] = ()
    right_level: bool = True


@dataclass(frozen=True, slots=True)
class Told:
    """All of one town: outcomes, false risk and maintenance alerts by rule, and over how many sensor-months."""

    found: list[Found]
    risk: list[str]
    maintenance: list[str]
    months: float


def one_seed(seed: int) -> Told:
    """Everything of one town."""
    start = START + (53 * seed % 365) * DAY_S + (7 * seed % 24) * HOUR_S
    scenario = "\n".join(trial.toml() for trial in TRIALS)
    past = play(seed, scenario, start, 7.0 + QUIET_DAYS, LIVE_S, CALM)
    quiet_from = past.live_from - QUIET_DAYS * DAY_S
    week = replace(past, live_from=quiet_from)
    quiet = _replay(week, past.values, quiet_from, past.live_from, 300.0)
    live = _replay(past, past.values, past.live_from, float(past.times[-1]), 20.0)
    found, false = _events(past, live)
    told = Told(found, [], [], len(past.town.instruments) * ((QUIET_DAYS + LEAK_DAYS) * DAY_S + LIVE_S) / MONTH_S)
    for one in [*quiet.book.episodes.values(), *false]:
        (told.risk if one.alert.kind is AlertKind.RISK else told.maintenance).append(one.alert.rule)
    for quick in (False, True):
        found += _faults(quick, week, past, seed)
    if LEAK.kind in KINDS:
        found.append(_slow_leak(seed, start, told))
    return told


def _replay(
    taught: Past,
    values: Floats,
    first: float,
    last: float,
    step_s: float,
    marked: NDArray[np.bool_] | None = None,
    ahead_s: Floats | None = None,
) -> Replay:
    """Ticks at least every ``step_s``, and not more often than sensors are read."""
    catalogue = shipped_catalogue()
    detection = detection_of(taught, load_rules(catalogue, 3600), catalogue)
    replay = Replay(detection, wills_of(taught), ahead_s)
    readings = long_form(values, taught.times, taught.sensor_ids)
    bad = None if marked is None else long_form(np.where(marked, values, np.nan), taught.times, taught.sensor_ids)
    if marked is not None:
        readings = long_form(np.where(marked, np.nan, values), taught.times, taught.sensor_ids)
    replay.start(readings, first)
    ticks = taught.times[(taught.times > first) & (taught.times <= last)]
    kept, least = [], first
    for tick in ticks.tolist():
        if tick - least >= step_s - 1e-6:
            kept.append(tick)
            least = tick
    replay.run_at(readings, kept, bad)
    return replay


def _events(past: Past, replay: Replay) -> tuple[list[Found], list[Episode]]:
    """Outcomes of the scenario's events, and the alerts that none of them explains."""
    episodes = replay.book.episodes.values()
    events = [asked(past, event) for event in verdicts.events_of(past.truth)]
    verdict = verdicts.judge(
        events, episodes, placer(replay.detection), len(past.town.instruments), past.live_from, float(past.times[-1])
    )
    cases = incidents_of(replay, past)
    trial_of = {past.live_from + trial.at_s: trial for trial in TRIALS}
    found = []
    for outcome in verdict.outcomes:
        trial = trial_of[outcome.event.begin]
        found.append(_outcome(trial, outcome, cases))
    return found, [*verdict.false_risk, *verdict.false_maintenance]


def asked(past: Past, event: verdicts.Event) -> verdicts.Event:
    """An event; a failed pump of a well is visible from where its well reaches the level at which it must start. The
    twin's well, which no failure before has held up, tells another moment; and a pump that was not asked shows
    nothing."""
    if event.kind != "pump_failure":
        return event
    wells = [
        (place, float(pump.attributes["start_level_m"]))
        for pump in past.town.drainage.nodes.values()
        if pump.between is not None and _metres_to(past, pump.id, event) < 1.0
        for place, one in enumerate(past.town.instruments)
        if one.quantity == "level" and one.asset in (pump.id, pump.between[0])
    ]
    if not wells:
        return event
    (place, start), *_ = wells
    rows = (past.times >= event.begin) & (past.times < event.end) & (past.values[:, place] >= start)
    return replace(event, visible=float(past.times[rows][0]) if rows.any() else None)


def _metres_to(past: Past, asset: str, event: verdicts.Event) -> float:
    return math.inf if event.at is None else verdicts.metres(to_wgs84(past.town.position(asset)), event.at)


def _outcome(trial: Trial, outcome: verdicts.Outcome, cases: Cases) -> Found:
    episodes = [one for one in outcome.alerts if one.alert.kind is AlertKind.RISK or trial.kind == "gateway_dead"]
    if trial.harmless:
        wrong = tuple(sorted({one.alert.rule for one in episodes if _is_wrong(trial, one)}))
        return Found(trial.name, True, wrong=wrong, **_counts(episodes, cases))
    right = [one for one in episodes if _spoke(one, trial.right)]
    visible = outcome.event.visible
    since = outcome.event.begin if visible is None else visible
    first = min(right, key=lambda one: _spoke(one, trial.right), default=None)
    wrong = tuple(sorted({one.alert.rule for one in episodes if one not in right}))
    level = "" if first is None else min(one.worst for one in right).slug
    return Found(
        trial.name,
        visible is not None or trial.kind == "leak",
        None if first is None else _spoke(first, trial.right)[0][0] - since,
        "" if first is None else _spoke(first, trial.right)[0][1],
        level,
        wrong=wrong,
        right_level=not level or level in trial.levels,
        **_counts(episodes, cases),
    )


def _counts(episodes: Sequence[Episode], cases: Cases) -> dict[str, int]:
    """Alerts, incidents and messages of one event."""
    return {"alerts": len(episodes), "incidents": len(cases.among(episodes)), "messages": cases.told(episodes)}


def _spoke(episode: Episode, rules: Sequence[str]) -> list[tuple[float, str]]:
    """When which of the rules began to hold an alert, the first first."""
    return sorted((at, rule) for rule, at in episode.rules.items() if rule in rules)


def _is_wrong(trial: Trial, episode: Episode) -> bool:
    """Of a harmless event: a rule that it must not raise, or methane that is taken for a leak."""
    if "leak" in trial.never and (episode.alert.evidence.get("origin") or {}).get("verdict") in ("leak", "open"):
        return True
    return any(rule in trial.never for rule in episode.rules)


def _faults(quick: bool, week: Past, past: Past, seed: int) -> Iterator[Found]:
    """The faults that are told within minutes, or within hours, all at once, each in another network, so that none is
    another's neighbour: over seeds each is tried in each network."""
    first = past.live_from + CALM[0] + 1800 if quick else week.live_from
    last = past.live_from + CALM[1] if quick else past.live_from
    begin = first + (1800 if quick else 6 * HOUR_S)
    rows = (past.times >= begin) & (past.times < last)
    values, rng, ahead = past.values.copy(), np.random.default_rng(seed), np.zeros(past.values.shape[1])
    tried = [
        (fault, quantity, victims(past.town, quantity, seed + 5 * number))
        for number, fault in enumerate(fault for fault in FAULTS if fault.quick is quick)
        if (quantity := fault.quantities[(seed + number) % len(fault.quantities)])
    ]
    for fault, quantity, place in tried:
        values[rows, place] = fault.spoil(values[rows, place], rng, quantity)
        device = past.town.instruments[place].device
        ahead[[i for i, one in enumerate(past.town.instruments) if one.device == device]] += fault.ahead_s
    marked = implausible(values, past.times, [place for _, _, place in tried], past.town, shipped_catalogue())
    replay = _replay(past if quick else week, values, first, last, 20.0 if quick else 300.0, marked, ahead)
    for fault, quantity, place in tried:
        yield _of_fault(fault, quantity, place, replay, first if fault.ahead_s else begin)


def _of_fault(fault: Fault, quantity: str, place: int, replay: Replay, begin: float) -> Found:
    row = replay.detection.inventory.rows[place]
    mine = [
        one
        for one in replay.book.episodes.values()
        if (one.alert.subject.kind == "sensor" and one.alert.subject.id == row.sensor_id)
        or (one.alert.subject.kind == "device" and one.alert.subject.id == row.device_id)
    ]
    mine = [one for one in mine if one.raised_at >= begin]
    right = min((one.rules[fault.rule] for one in mine if fault.rule in one.rules), default=None)
    delay = None if right is None else right - begin
    risk = tuple(sorted({one.alert.rule for one in mine if one.alert.kind is AlertKind.RISK}))
    rule = "" if right is None else fault.rule
    return Found(f"{fault.name}: {quantity}", True, delay, rule, "", len(mine), wrong=risk)


def _slow_leak(seed: int, start: float, told: Told) -> Found:
    """Ten days at five minutes, looked at every half hour, a leak from the second on."""
    past = play(seed, LEAK.toml(), start, 7.0, LEAK_DAYS * DAY_S, fine=False)
    replay = _replay(past, past.values, past.live_from, float(past.times[-1]), 1800.0)
    found, false = _events_of(LEAK, past, replay)
    told.risk.extend(one.alert.rule for one in false if one.alert.kind is AlertKind.RISK)
    return found


def _events_of(trial: Trial, past: Past, replay: Replay) -> tuple[Found, list[Episode]]:
    verdict = verdicts.judge(
        verdicts.events_of(past.truth), replay.book.episodes.values(), placer(replay.detection),
        len(past.town.instruments), past.live_from, float(past.times[-1]),
    )  # fmt: skip
    return _outcome(trial, verdict.outcomes[0], incidents_of(replay, past)), [*verdict.false_risk]


def rows() -> Iterator[Row]:
    """Over all seeds; the table is also written into docs/reference/detectors.md."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(CORES) as pool:
        towns = list(told_so_far(pool.map(one_seed, range(FIRST, FIRST + SEEDS))))
    yield from tell(towns)


def told_so_far(towns: Iterable[Told]) -> Iterator[Told]:
    """Towns as they come; the page's table is that of the towns until now, so that a run that ends early has told."""
    judged: list[Told] = []
    for one in towns:
        judged.append(one)
        _write(judged)
        yield one


def tell(towns: Sequence[Told]) -> Iterator[Row]:
    """What became of some towns."""
    found, risk, sick, months = _together(towns)
    sudden = {trial.name for trial in TRIALS if trial.sudden}
    for name, ones in found.items():
        yield from _shown(name, [one for one in ones if one.visible], name in sudden)
    rate = len(risk) / months
    yield Row("false risk alerts", rate, "a sensor-month", limit=f"< {FALSE_LIMIT}", ok=rate < FALSE_LIMIT)
    yield Row("false maintenance alerts", len(sick) / months, "a sensor-month")


def _together(towns: Sequence[Told]) -> tuple[dict[str, list[Found]], list[str], list[str], float]:
    """By event what became of it in each town; all false risk and maintenance alerts; sensor-months."""
    found: dict[str, list[Found]] = defaultdict(list)
    risk, sick, months = [], [], 0.0
    for told in towns:
        for one in told.found:
            found[one.name].append(one)
        risk, sick, months = risk + told.risk, sick + told.maintenance, months + told.months
    return found, risk, sick, months


HARMLESS = {trial.name for trial in TRIALS if trial.harmless}


def _shown(name: str, seen: Sequence[Found], sudden: bool) -> Iterator[Row]:
    if name in HARMLESS:
        wrong = sum(bool(one.wrong) for one in seen)
        yield Row(f"{name}: raises what it must not", wrong, f"of {len(seen)}", limit="none", ok=wrong == 0)
        return
    delays = [one.delay_s for one in seen if one.delay_s is not None]
    yield Row(f"{name}: found", len(delays), f"of {len(seen)} visible", limit="all", ok=len(delays) == len(seen))
    if delays:
        right = sum(one.right_level for one in seen if one.delay_s is not None)
        yield Row(f"{name}: at the right level", right, f"of {len(delays)}", limit="all", ok=right == len(delays))
        yield Row(f"{name}: median delay", median(delays), "s")
        limit = f"< {SUDDEN_S:g} s" if sudden else ""
        yield Row(
            f"{name}: longest delay", max(delays), "s", limit=limit, ok=max(delays) < SUDDEN_S if sudden else None
        )


HEAD = (
    "| event | visible | found | at the right level | delay, median | delay, longest | first found by | worst level "
    "| alerts each | incidents each | messages each | other risk rules |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
)


def _write(towns: Sequence[Told]) -> None:
    found, risk, sick, months = _together(towns)
    lines = [*HEAD, *(_line(name, [one for one in ones if one.visible]) for name, ones in found.items())]
    lines += ["", f"Seeds {FIRST} to {FIRST + len(towns) - 1}, {months:,.0f} sensor-months. False risk alerts: "]
    lines[-1] += f"{_counted(risk)}, {len(risk) / months:.2g} a sensor-month; false maintenance alerts: "
    lines[-1] += f"{_counted(sick)}."
    page = PAGE.read_text(encoding="utf-8")
    marks = "<!-- measured -->", "<!-- end -->"
    text = f"{marks[0]}\n" + "\n".join(lines) + f"\n{marks[1]}"
    PAGE.write_text(re.sub(f"{marks[0]}.*{marks[1]}", lambda _: text, page, flags=re.DOTALL), encoding="utf-8")


def _line(name: str, seen: Sequence[Found]) -> str:
    delays = [one.delay_s for one in seen if one.delay_s is not None]
    shown = [verdicts.duration(median(delays)), verdicts.duration(max(delays))] if delays else ["-", "-"]
    found = f"{sum(bool(one.wrong) for one in seen)} wrongly" if name in HARMLESS else str(len(delays))
    right = str(sum(one.right_level for one in seen if one.level)) if any(one.level for one in seen) else "-"
    each = [_spread([getattr(one, key) for one in seen]) for key in ("alerts", "incidents", "messages")]
    others = _ranked([rule for one in seen for rule in one.wrong])
    who, level = _ranked([one.rule for one in seen]), _ranked([one.level for one in seen])
    return f"| {' | '.join([name, str(len(seen)), found, right, *shown, who, level, *each, others])} |"


def _spread(counts: Sequence[int]) -> str:
    """The median, and the most where that is more."""
    middle, most = median(counts or [0]), max(counts, default=0)
    return f"{middle:g}" + (f" (most {most})" if most > middle else "")


def _ranked(names: Sequence[str]) -> str:
    """What was said how often, the most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in Counter(filter(None, names)).most_common()) or "-"


def _counted(rules: list[str]) -> str:
    by = {rule: rules.count(rule) for rule in sorted(set(rules))}
    return f"{len(rules)}" + (f" ({', '.join(f'{rule} {count}' for rule, count in by.items())})" if by else "")
