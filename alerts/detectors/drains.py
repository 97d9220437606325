"""Sewers: what backs up, what rain does not explain, what will overflow, and pumps that fail.

Each takes its condition from a detector of its own (blockage, rain, overflow, pump) over a day of quarters and the
minutes since, with the rain of the nearest gauge. Where the gauge is silent or sick, rain is unknown, and nothing is
claimed of dry weather. A level that dry weather knows (its 99th percentile) is never unusual to begin with; one that
stands out beside the others of its catchment stays so through the night, when all are low.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import blockage, health, overflow, peers, pump, rain, rolling, surge
from alerts.knowledge import Catchment, Columns, Known
from alerts.rules import Blockage, Overflow, Pump, RainResponse
from alerts.scene import Scene, Scores, judge, limits_of, number, of_sensors
from alerts.window import SLOT_S, Ints
from lifeline.model import Finding, JsonObject, Level

Floats = NDArray[np.float64]

BEYOND = 1.2
"""Rain that exceeds what taught by more than this has no expectation."""
MIN_LEARNED = 200
LOW_SHARE = 0.3
"""A level under this share of the manhole's depth is far from an overflow, however fast it rises (default)."""
FULL_SHARE = 0.8
"""So is one whose sewer is not nearly full: there is room in the pipe before there is any rise in the shaft."""


def detect_blockage(rule: Blockage, scene: Scene) -> list[Finding]:
    """A finding for the upper level of each reach that backs up."""
    found = []
    for known in scene.knowledge.parts:
        for catchment in known.part.catchments:
            levels, gauge = known.group(catchment.levels), known.group(catchment.gauge)
            if levels is not None and gauge is not None and _unusual(rule.id, scene, catchment, levels):
                found += _reaches(rule, scene, known, catchment, levels, gauge)
    return found


def _unusual(rule: str, scene: Scene, catchment: Catchment, levels: Columns) -> bool:
    """Whether any level left what it knows of dry weather within the window, or has an alert: else there is no need."""
    with np.errstate(invalid="ignore"):
        high = bool((scene.highest(levels) > catchment.dry.high).any())
    return high or bool(np.isin(scene.inventory.sensor_ids[levels], list(scene.held[rule])).any())


def _reaches(
    rule: Blockage, scene: Scene, known: Known, catchment: Catchment, levels: Columns, gauge: Columns
) -> list[Finding]:
    reaches = _inside(scene.topology.reaches, levels)
    if not len(reaches):
        return []
    level, times = scene.day(levels)
    dry = np.repeat(rain_of(scene, gauge).dry[:, None], len(levels), axis=1)
    usual = blockage.DryWeather(
        catchment.dry.median,
        np.where(catchment.dry.count >= MIN_LEARNED, catchment.dry.high, np.nan),
        catchment.dry.count,
    )
    told = blockage.detect(usual, level, dry, times, reaches, rule.confirmed_s)
    blocked = told.cause == blockage.Cause.BLOCKAGE
    score = blocked.astype(float) + (blocked & told.confirmed)
    score[np.isnan(level[:, reaches[:, 0]])] = np.nan

    def evidence(place: int) -> JsonObject:
        up, down = reaches[place].tolist()
        return {
            "quantity": "level",
            "unit": "m",
            "value": number(level[-1, up]),
            "expected": number(usual.median[up]),
            "high_in_dry_weather": number(usual.high[up]),
            "cause": blockage.Cause(int(told.cause[-1, place])).name.lower(),
            "downstream": {
                "sensor": scene.inventory.rows[int(levels[down])].name,
                "value": number(level[-1, down]),
                "expected": number(usual.median[down]),
            },
            "baseline": known.part.baseline.version,
        }

    return judge(rule, Scores(of_sensors(scene, levels[reaches[:, 0]]), score, times, evidence), scene)


def _inside(reaches: Ints, levels: Columns) -> Ints:
    """Reaches both of whose ends are among ``levels``, as positions in it."""
    kept = reaches[np.isin(reaches, levels).all(axis=1)]
    order = np.argsort(levels)
    return np.asarray(order[np.searchsorted(levels[order], kept)], np.int64).reshape(-1, 2)


class Rain(NamedTuple):
    """What fell on a gauge, by the row of a day: mm since the row before (NaN unknown; the newest reading goes on), the
    same as far as the gauge has told (what falls until it speaks again, nobody knows yet), the stores, dry weather."""

    fallen: Floats
    told: Floats
    stores: Floats
    dry: NDArray[np.bool_]


def rain_of(scene: Scene, gauge: Columns) -> Rain:
    """The rain of one gauge; that of all is worked out at once and once a moment."""
    if "rain" not in scene.once:
        gauges = scene.inventory.by_quantity.get("rain", np.empty(0, np.int64))
        fallen, times = scene.rain_of_day(gauges)
        dry = blockage.dry(fallen, times) & ~np.isnan(fallen)
        until = scene.window.rain_until(gauges, scene.now.timestamp())
        told = np.where(times[:, None] <= until + SLOT_S, fallen, np.nan)
        scene.once["rain"] = (gauges, Rain(fallen, told, rain.stores(fallen, times), dry))
    gauges, known = scene.once["rain"]
    place = int(np.searchsorted(gauges, gauge[0]))
    return Rain(*(part[:, place] for part in known))


def wet_of(scene: Scene, columns: Ints) -> NDArray[np.bool_]:
    """Whether it rained lately where sensors are, (sensor,), by the gauge that speaks for each; False without one."""
    gauges = scene.topology.gauge[columns]
    wet = {int(gauge): not bool(rain_of(scene, gauge[None]).dry[-1]) for gauge in np.unique(gauges[gauges >= 0])}
    return np.array([wet.get(int(gauge), False) for gauge in gauges], np.bool_)


def detect_rain_response(rule: RainResponse, scene: Scene) -> list[Finding]:
    """A finding for each level that is higher than rain and hour, or in dry weather the other levels, explain."""
    found = []
    for known in scene.knowledge.parts:
        for catchment in known.part.catchments:
            levels, gauge = known.group(catchment.levels), known.group(catchment.gauge)
            if levels is not None and gauge is not None and _unusual(rule.id, scene, catchment, levels):
                found += _responses(rule, scene, known, catchment, levels, gauge)
    return found


def _responses(
    rule: RainResponse, scene: Scene, known: Known, catchment: Catchment, levels: Columns, gauge: Columns
) -> list[Finding]:
    level, times = scene.day(levels)
    _, fallen, stores, _ = rain_of(scene, gauge)
    told = rain.detect(catchment.response, level, stores, times)
    unheard = (stores > np.maximum(BEYOND * catchment.stores, rain.WET_MM)).any(axis=1) | np.isnan(fallen)
    beside = _beside(scene, catchment, levels, level, stores)
    held = np.array([scene.held[rule.id].get(int(each), 0) for each in scene.inventory.sensor_ids[levels]])
    high = level > catchment.dry.high
    excess = np.fmax(np.where(high, told.score, 0.0), np.where(high | (held > 0), beside.score, 0.0))
    score = np.where(np.isnan(level), np.nan, np.maximum(excess, 0.0))
    score[unheard] = np.nan
    since = surge.detect(catchment.surge, level, surge.dry(fallen, times), times)
    # Of a level that is told only what it claims counts: that it rises no more does not say that it is as it should be.
    # Of another every moment counts: a reading that stands alone must not live on in those of which nothing is known.
    rises = np.maximum(since.score * high, 0.0)
    score = np.fmax(score, np.where((held == 0) | (rises >= surge.ASKED), rises, np.nan))
    subjects = of_sensors(scene, levels)
    limits = np.stack([limits_of(rule, subject, scene) for subject in subjects], axis=1)
    mildest = np.where(np.isnan(limits), 0, np.array(Level)[:, None]).max(axis=0)
    raised = (held > 0) & (held < mildest)
    lasts = rain.lasting(score, times, limits, rule.confirmed_s, np.where(raised, rule.deadband, -np.inf))

    def evidence(place: int) -> JsonObject:
        said = [told.score[-1, place], beside.score[-1, place], since.score[-1, place]]
        most = int(np.argmax(np.nan_to_num(said, nan=-np.inf)))
        return {
            "quantity": "level",
            "unit": "m",
            "value": number(level[-1, place]),
            "expected": number((told.expected, beside.expected, since.expected)[most][-1, place]),
            "expected_by": ("rain and hour", "the other levels of its catchment", "the hour before")[most],
            "score": number(score[-1, place]),
            "lasts": bool(lasts[-1, place] > score[-1, place]),
            "rain_mm_in_4_h": number(stores[-1, rain.STORES_S.index(14400.0)]),
            "baseline": known.part.baseline.version,
        }

    return judge(rule, Scores(subjects, lasts, times, evidence), scene)


def _beside(scene: Scene, catchment: Catchment, levels: Columns, level: Floats, stores: Floats) -> peers.Judgement:
    """The levels of a catchment against each other; one that stands still for the whole window is no evidence yet: a
    probe that is stuck is left behind by the others."""
    told = peers.detect(catchment.peers, level, peers.quiet(stores))
    low, high = scene.window.extremes(levels)
    return told._replace(score=np.where(high > low, told.score, np.nan))


def detect_overflow(rule: Overflow, scene: Scene) -> list[Finding]:
    """A finding for each manhole whose cover the water will reach."""
    columns = scene.columns(rule, "level")
    cover = np.array([scene.inventory.rows[column].depth_m or np.nan for column in columns.tolist()], np.float64)
    _, high = scene.window.extremes(columns)
    held = np.isin(scene.inventory.sensor_ids[columns], list(scene.held[rule.id]))
    with np.errstate(invalid="ignore"):
        near = (cover > 0) & ((high >= LOW_SHARE * cover) | held)
    columns, cover = columns[near], cover[near]
    if not len(columns):
        return []
    full = [_full_from(scene, *each) for each in zip(columns.tolist(), cover.tolist(), strict=True)]
    least = np.maximum(LOW_SHARE * cover, full)
    level, times = scene.recent(columns)
    told = overflow.forecast(level, cover, times)
    low = level < np.minimum(least, LATEST_SHARE * cover)
    minutes = np.where(low, np.inf, told.seconds / 60.0)
    usual = np.maximum(scene.knowledge.noise, scene.inventory.resolution)[columns]
    lonely = health.spikes(level, np.nan_to_num(usual, nan=np.inf)) >= health.LONELY
    # A sensor that threw a lonely reading within the hour raises nothing; that its water is low again is believed.
    minutes = np.where(np.isnan(told.seconds) | (lonely & ~low), np.nan, np.minimum(minutes, 1e6))

    def evidence(place: int) -> JsonObject:
        return {
            "quantity": "level",
            "unit": "m",
            "value": number(level[-1, place]),
            "cover": number(cover[place]),
            "full_from": number(least[place]),
            "rise_per_hour": number(told.rise[-1, place] * 3600.0),
            "minutes_to_overflow": number(minutes[-1, place]) if minutes[-1, place] < 1e6 else None,
        }

    return judge(rule, Scores(of_sensors(scene, columns), minutes, times, evidence), scene)


ABOVE_START = 0.1
"""A well rises to the level at which its pumps start, again and again, and a little further until they draw: there is
something to tell only from this share of what then is left to the cover (default)."""
LATEST_SHARE = 0.75
"""Whatever the sewer's bore is said to be, from this share of the manhole's depth on a rise is told (default)."""


def _full_from(scene: Scene, column: int, cover: float) -> float:
    """Metres at which the widest sewer at a level's manhole is nearly full, or its pumps should long have started; 0
    where neither is known."""
    asset = scene.topology.asset_of[column]
    links = [scene.topology.assets.get(link) for _, _, link in scene.topology.pipes_at(asset)] if asset else []
    known = [FULL_SHARE * (link.diameter_mm or 0.0) / 1000 for link in links if link is not None]
    starts = [link.attributes.get("start_level_m") for link in links if link is not None]
    high = [start + ABOVE_START * max(cover - start, 0.0) for start in starts if isinstance(start, int | float)]
    return max(known + high, default=0.0)


def detect_pump(rule: Pump, scene: Scene) -> list[Finding]:
    """A finding for each pump whose well stands above its start level without falling, and for each that stands still
    though it always ran.

    A station is a pump's current and the level at its asset or at the one that it draws from, whose attribute
    ``start_level_m`` says when it must run. One without such a level is judged by what was learned of its current.
    """
    found = []
    columns = scene.columns(rule, "pump_current").tolist()
    always, draws = _as_learned(scene) if columns else (set(), np.empty(0))
    for column in columns:
        asset = scene.topology.assets.get(scene.topology.asset_of[column] or -1)
        start = asset.attributes.get("start_level_m") if asset else None
        wells = {asset.asset_id, asset.from_asset} - {None} if asset else set()
        level = next((c for c in scene.columns(rule, "level").tolist() if scene.topology.asset_of[c] in wells), None)
        if level is not None and isinstance(start, int | float):
            found += _station(rule, scene, column, level, float(start), draws[column])
        elif column in always:
            found += _steady(rule, scene, column)
    return found


def _as_learned(scene: Scene) -> tuple[set[int], Floats]:
    """Columns of currents that hardly ever stood still on clean days, and the least that each drew while it ran."""
    always: set[int] = set()
    draws = np.full(len(scene.inventory.sensor_ids), np.nan)
    for known in scene.knowledge.parts:
        ready = known.part.baseline.ready & (known.columns >= 0)
        always |= set(known.columns[ready & (known.part.least > SURELY * pump.RUNNING_A)].tolist())
        draws[known.columns[ready]] = known.part.draws[ready]
    return always, draws


def _steady(rule: Pump, scene: Scene, column: int) -> list[Finding]:
    current, times = scene.recent(np.array([column]))
    idle = rolling.held(current <= pump.RUNNING_A, times, pump.IDLE_HELD_S / 2)
    score = np.where(np.isnan(current), np.nan, np.where(idle, 2.0, 0.0))

    def evidence(_place: int) -> JsonObject:
        name = "pump_current"
        return {"quantity": name, "unit": "A", "value": number(current[-1, 0]), "fault": "stands still, and always ran"}

    return judge(rule, Scores(of_sensors(scene, np.array([column])), score, times, evidence), scene)


def _station(rule: Pump, scene: Scene, column: int, well: int, start_m: float, draws: float) -> list[Finding]:
    both, times = scene.recent(np.array([column, well]))
    current, level = both[:, :1], both[:, 1:]
    running = np.where(np.isnan(current), np.nan, current > pump.RUNNING_A)
    told = pump.detect(level, running, times, np.array([start_m]))
    read = ~np.isnan(scene.recent(np.array([column]), stands_s=0.0)[0][:, 0])
    unloaded = pump.unloaded(current, level, times, np.array([draws]), read)
    futile = told.futile & ~_rains(scene, well) | unloaded
    score = np.where(told.idle | futile, 2.0, np.where(told.cycling, 1.0, 0.0))
    score = np.where(np.isnan(current) | np.isnan(level), np.nan, score)

    def evidence(_place: int) -> JsonObject:
        fault = "does not run" if told.idle[-1, 0] else "moves nothing" if futile[-1, 0] else "starts too often"
        return {
            "quantity": "pump_current",
            "unit": "A",
            "value": number(current[-1, 0]),
            "expected": number(draws) if unloaded[-1, 0] else None,
            "fault": fault,
            "level": number(level[-1, 0]),
            "start_level": start_m,
        }

    return judge(rule, Scores(of_sensors(scene, np.array([column])), score, times, evidence), scene)


def _rains(scene: Scene, well: int) -> bool:
    """Whether so much fell on a well's gauge within the hour that more may come than its pumps can move; True where a
    gauge has nothing to say, False where there is none."""
    gauge = int(scene.topology.gauge[well])
    if gauge < 0:
        return False
    _, times = scene.day(np.array([gauge]))
    lately = rain_of(scene, np.array([gauge])).fallen[times > times[-1] - RUNS_OFF_S]
    return bool(np.isnan(lately).any() or lately.sum() >= RAINS_MM)


RUNS_OFF_S, RAINS_MM = 3600.0, 1.0
"""What falls on an underpass is in its well within the hour; less than this is no rain to a pump (default)."""
SURELY = 4.0
