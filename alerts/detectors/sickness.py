"""Sensors that cannot be trusted (detectors/health): maintenance alerts, and their word is no evidence until they heal.

flatline   stands still within its resolution for six hours, though its clean days never knew six such hours; or reads
           the very same for an hour, though in each clean hour it moved by more than STEPS of its resolution
noise      scatters by more than a multiple of its usual noise, in both halves of an hour
           (of four, where it speaks too seldom); of a sewer's level in rain, than the others too
drift      on one side of what its neighbours say for half a day, while they are not; a meter of a district's balance
           is not judged: what it shows beyond usual is a leak before it is a fault (detectors/zones)
jumps      three readings or more that changed faster than the quantity can, within a quarter of an hour, or that stood
           alone, far off from the one before and the one after, within an hour (not where it comes in gusts: GUSTY)
clock      the device's messages are dated more than a minute wrong
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import anomaly, drains, health, residual
from alerts.knowledge import Known
from alerts.learning import BRIEF_S, STILL_S, quarters_in
from alerts.rules import Health
from alerts.scene import Scene, Scores, judge, number, of_sensors
from alerts.window import Ints
from lifeline.model import Finding, JsonObject, Subject, SubjectKind

Floats = NDArray[np.float64]

CLEARLY = 4.0
"""Six clean hours must have moved by more than so many steps, or standing still says nothing (default)."""
SCATTER_S = 4 * 3600.0
"""A sensor that speaks every few minutes is judged for noise over so long, else over an hour."""
JUMPS = 3
SEWERS = ("level", "flow", "velocity", "ponding_depth")
CYCLED = ("rain", "pump_current", "ponding_depth")
GUSTY = frozenset({"methane", "h2s", "rain", "pump_current", "flow", "velocity", "noise", "signal"})
"""Quantities that truly come and go within a minute: a reading that stands alone says nothing of the sensor."""
SHARED = 0.25
"""Where more than this share of a quantity's sensors scatter, it is the water and not the sensors (default)."""
SKEW_S = 60.0


def detect(rule: Health, scene: Scene) -> list[Finding]:
    """Findings of one fault."""
    return _FAULTS[rule.fault](rule, scene)


def _now(scene: Scene) -> Floats:
    return np.array([scene.now.timestamp()])


def _parts(
    rule: Health, scene: Scene, judged: Callable[[Known, Ints, Ints], tuple[Floats, Callable[[int], JsonObject]]]
) -> list[Finding]:
    """Each part's sensors in service: ``judged`` gets the part, the columns and their positions in it."""
    found = []
    for known in scene.knowledge.parts:
        columns = known.columns
        fits = (columns >= 0) & scene.inventory.in_service[np.maximum(columns, 0)] & known.part.baseline.ready
        if rule.networks:
            fits &= np.isin(scene.inventory.networks[np.maximum(columns, 0)], sorted(rule.networks))
        places = np.flatnonzero(fits)
        if len(places):
            score, evidence = judged(known, columns[places], places)
            found += judge(
                rule, Scores(of_sensors(scene, columns[places]), score[None, :], _now(scene), evidence), scene
            )
    return found


def _flatline(rule: Health, scene: Scene) -> list[Finding]:
    def judged(known: Known, columns: Ints, places: Ints) -> tuple[Floats, Callable[[int], JsonObject]]:
        values = scene.trend.values(columns)[0][-quarters_in(STILL_S) :]
        step = scene.inventory.resolution[columns]
        stuck = health.flatline(values, step, known.part.still[places] / CLEARLY)
        full = np.sum(~np.isnan(values), axis=0) >= 0.75 * quarters_in(STILL_S)
        full &= ~scene.topology.pumped[columns]  # a pump may rest for long
        quick: Callable[[int], bool] = lambda p: bool(scene.stuck[columns[p]] and not (full[p] and stuck[p]))  # noqa: E731
        score = np.where(full | scene.stuck[columns], (stuck | scene.stuck[columns]).astype(float), np.nan)
        return score, lambda p: {
            "value": number(values[-1, p]),
            "least_range_on_clean_days": number((known.part.brief if quick(p) else known.part.still)[places[p]]),
            "hours": BRIEF_S / 3600 if quick(p) else STILL_S / 3600,
        }

    return _parts(rule, scene, judged)


def _noise(rule: Health, scene: Scene) -> list[Finding]:
    def judged(known: Known, columns: Ints, places: Ints) -> tuple[Floats, Callable[[int], JsonObject]]:
        usual, step = known.part.baseline.noise[places], scene.inventory.resolution[columns]
        minutes = scene.window.newest(columns, scene.now.timestamp()).astype(np.float64)
        quarters = scene.trend.values(columns)[0][-quarters_in(SCATTER_S) :]
        often = _noise_of(minutes, usual, step)
        told = often if np.isfinite(often.ratio).all() else _either(often, _noise_of(quarters, usual, step))
        ratio = np.where(_stirred(scene, columns, told.ratio), np.nan, _beside(scene, columns, told.ratio))
        score = ratio / health.NOISE_RATIO
        return score, lambda p: {"noise": number(told.sigma[p]), "usual_noise": number(usual[p])}

    return _parts(rule, scene, judged)


def _noise_of(values: Floats, usual: Floats, step: Floats) -> health.Noise:
    """The lesser noise of both halves: what lasts."""
    halves = [health.noise(half, usual, step) for half in np.array_split(values, 2)]
    return health.Noise(*(np.minimum(*both) for both in zip(*halves, strict=True)))


def _either(often: health.Noise, seldom: health.Noise) -> health.Noise:
    """A sensor that speaks too seldom for the window is judged by its quarters."""
    known = np.isfinite(often.ratio)
    return health.Noise(np.where(known, often.sigma, seldom.sigma), np.where(known, often.ratio, seldom.ratio))


def _stirred(scene: Scene, columns: Ints, ratio: Floats) -> NDArray[np.bool_]:
    """Sensors that may scatter because the world does: in alarm, or as others of their quantity do, or rain gauges, or
    as pumps start and stop beside them."""
    quantities = scene.inventory.quantities[columns]
    stirred = scene.alarmed[columns] | np.isin(quantities, CYCLED) | scene.topology.pumped[columns]
    for quantity in np.unique(quantities).tolist():
        alike = quantities == quantity
        if np.mean(np.nan_to_num(ratio[alike]) > health.NOISE_RATIO / 2) > SHARED and alike.sum() > 1:
            stirred |= alike
    return np.asarray(stirred, np.bool_)


def _beside(scene: Scene, columns: Ints, ratio: Floats) -> Floats:
    """Noise by the usual one; of sewers in rain, which stirs them all, by that of the noisiest other level, and not
    known of what runs in gusts."""
    found, quantities = ratio.copy(), scene.inventory.quantities[columns]
    sewers = np.flatnonzero(np.isin(quantities, SEWERS))
    wet = sewers[drains.wet_of(scene, columns[sewers])]
    found[wet] = np.nan
    levels = wet[quantities[wet] == "level"]
    if len(levels) > 1:
        known = np.nan_to_num(ratio[levels])
        second, first = np.sort(known)[-2:]
        found[levels] = ratio[levels] / np.maximum(np.where(known == first, second, first), 1.0)
    return found


def _drift(rule: Health, scene: Scene) -> list[Finding]:
    def judged(known: Known, _columns: Ints, places: Ints) -> tuple[Floats, Callable[[int], JsonObject]]:
        told, readings, _ = anomaly.against_neighbours(scene, known, healthy=False)
        score = np.full(readings.shape[1], np.nan)
        for positions, model in known.residual_groups():
            mates = np.ones((len(positions), len(positions)), np.bool_)
            limit = model.limit_lasting * model.scale
            drifted = health.drift(told.smoothed[-quarters_in(residual.LASTS_S) :, positions], limit, mates)
            score[positions] = np.where(model.explained > 0, drifted, np.nan)
        for district in known.part.districts:
            score[district.inlets] = np.nan
        return score[places], lambda p: {
            "value": number(readings[-1, places[p]]),
            "expected": number(told.expected[-1, places[p]]),
            "drift": number(told.smoothed[-1, places[p]]),
            "baseline": known.part.baseline.version,
        }

    return _parts(rule, scene, judged)


def _jumps(rule: Health, scene: Scene) -> list[Finding]:
    marked = scene.inventory.per_sensor(scene.jumps)
    counts = marked + _spikes(scene)
    columns = np.flatnonzero((counts > 0) | np.isin(scene.inventory.sensor_ids, list(scene.held[rule.id])))
    scores = Scores(
        of_sensors(scene, columns), counts[None, columns] / JUMPS, _now(scene),
        lambda p: {"jumps": int(counts[columns[p]]), "too_fast": int(marked[columns[p]])},
    )  # fmt: skip
    return judge(rule, scores, scene)


def _spikes(scene: Scene) -> Floats:
    """Readings within the window that stood alone, (column,), of the sensors whose usual noise is known."""
    found = np.zeros(len(scene.inventory.sensor_ids))
    for known in scene.knowledge.parts:
        places = np.flatnonzero((known.columns >= 0) & known.part.baseline.ready)
        columns = known.columns[places]
        usual = np.maximum(known.part.baseline.noise[places], scene.inventory.resolution[columns])
        low, high = scene.window.extremes(columns)
        with np.errstate(invalid="ignore"):
            wide = (high - low > health.SPIKE * usual) & scene.inventory.in_service[columns] & ~scene.alarmed[columns]
        wide &= ~np.isin(scene.inventory.quantities[columns], sorted(GUSTY))
        minutes = scene.window.newest(columns[wide], scene.now.timestamp()).astype(np.float64)
        found[columns[wide]] = health.spikes(minutes, usual[wide])
    return found


def _clock(rule: Health, scene: Scene) -> list[Finding]:
    devices = sorted(set(scene.lateness) | set(scene.held[rule.id]))
    skew = np.array([scene.lateness.get(device, (np.nan, np.nan)) for device in devices]).reshape(-1, 2)
    off = np.fmax(-skew[:, 0], skew[:, 1]) / SKEW_S
    subjects = [Subject(SubjectKind.DEVICE, device) for device in devices]
    evidence: Callable[[int], JsonObject] = lambda p: {  # noqa: E731
        "unit": "s",
        "median_lateness": number(skew[p, 0]),
        "least_lateness": number(skew[p, 1]),
    }
    return judge(rule, Scores(subjects, np.maximum(off, 0.0)[None, :], _now(scene), evidence), scene)


_FAULTS: Mapping[str, Callable[[Health, Scene], list[Finding]]] = {
    "flatline": _flatline,
    "noise": _noise,
    "drift": _drift,
    "jumps": _jumps,
    "clock": _clock,
}
