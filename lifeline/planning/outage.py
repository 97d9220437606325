"""An outage in EPANET hour by hour: links closed and leaks open until they are mended, tanks that run dry and fill."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lifeline.planning.course import WHOLE, Course
from lifeline.planning.hydraulics import Epanet, HydraulicError
from lifeline.risk.assets import Bools, Floats

# Codes of EPANET 2.2's library.
_TANK, _PRESSURE, _DEFICIT, _EMITTER = 2, 11, 27, 3
_CONTROLS = 5
_FRESH = 10
_HOUR_S = 3600.0
FILLED = 0.02
"""A tank is as full as usual when it lacks less than this share of what its level moves through (default)."""


class Leak(NamedTuple):
    """An emitter at a junction until an hour."""

    node: str
    coefficient: float
    until: float


class Moment(NamedTuple):
    """What is delivered and wanted at one moment, in the model's units, and the levels (k,) of its tanks."""

    hour: float
    delivered: float
    wanted: float
    levels: Floats


class Usual(NamedTuple):
    """A model with nothing out: share delivered of what is wanted, and tank levels (t, k) by the hour (t,)."""

    share: float
    hours: Floats
    levels: Floats

    def full(self, moment: Moment) -> Bools:
        """Which tanks (k,) stand as high as they would without the outage."""
        due = np.array([np.interp(moment.hour, self.hours, column) for column in self.levels.T])
        moves = np.ptp(self.levels, axis=0)
        return np.asarray(moment.levels >= due - FILLED * moves - 1e-6, dtype=np.bool_)


def usual(engine: Epanet) -> Usual:
    """The whole time that the model is simulated, with nothing out."""
    found = follow(engine, {}, (), _never)
    wanted = sum(each.wanted for each in found)
    share = sum(each.delivered for each in found) / wanted if wanted > 0 else 1.0
    return Usual(share, np.array([each.hour for each in found]), np.stack([each.levels for each in found]))


def _never(moment: Moment) -> bool:  # noqa: ARG001 - all of it is wanted
    return False


def course(engine: Epanet, before: Usual, closed: Mapping[str, float], leaks: Sequence[Leak]) -> Course:
    """Service while links are ``closed`` until an hour each and nodes leak; followed until all is as before.

    Repairs take effect at the next hydraulic step, an hour at most. A tank counts as filled from the first moment on,
    after the last repair, at which it stands as high as usual.
    """
    mended = max([0.0, *closed.values(), *(each.until for each in leaks)])
    filled: Bools = np.zeros(before.levels.shape[1], np.bool_)

    def ended(moment: Moment) -> bool:
        nonlocal filled
        if moment.hour + 1e-9 < mended:
            return False
        filled = filled | before.full(moment)
        return bool(filled.all()) and _share(moment, before) >= WHOLE

    found = follow(engine, closed, leaks, ended)
    whole = found[-1].hour if ended(found[-1]) else float("inf")
    return Course(np.array([each.hour for each in found]), np.array([_share(each, before) for each in found]), whole)


def _share(moment: Moment, before: Usual) -> float:
    if moment.wanted <= 0:
        return 1.0
    return min(moment.delivered / moment.wanted / max(before.share, 1e-12), 1.0)


def follow(
    engine: Epanet, closed: Mapping[str, float], leaks: Sequence[Leak], ended: Callable[[Moment], bool]
) -> list[Moment]:
    """The moments of the hydraulic simulation until ``ended`` or the model's hours are over.

    Where EPANET finds no solution, nothing is delivered from then on. Raises HydraulicError for a name that the model
    lacks.
    """
    with engine._lock:
        shut: dict[str, list[tuple[int, int, float]]] = {}
        emitters: list[tuple[int, float]] = []
        controls: dict[str, list[_Control]] = {}
        try:
            for name in closed:
                controls[name] = _silence(engine, name)
                shut[name] = engine._close(name)
            emitters = [engine._leak(leak.node, leak.coefficient) for leak in leaks]

            def reopen(name: str) -> None:
                engine._reopen(shut[name])
                for control in controls[name]:
                    control.put(engine)

            def keep_closed(name: str) -> None:
                engine._keep_closed(shut[name])

            return _followed(engine, dict(closed), reopen, keep_closed, list(leaks), ended)
        finally:
            for value in (each for found in shut.values() for each in found):
                engine._set("setlinkvalue", *value)
            for node, before in reversed(emitters):
                engine._set("setnodevalue", node, _EMITTER, before)
            for control in (each for found in controls.values() for each in found):
                control.put(engine)


def _followed(
    engine: Epanet, closed: dict[str, float], reopen: Callable[[str], None], keep_closed: Callable[[str], None],
    leaks: list[Leak], ended: Callable[[Moment], bool],
) -> list[Moment]:  # fmt: skip
    found: list[Moment] = []
    tanks = [at for at in range(1, len(engine.nodes) + 1) if engine._integer("getnodetype", at) == _TANK]
    engine._call("initH", _FRESH)
    now, step, hour = ctypes.c_long(), ctypes.c_long(1), 0.0
    while step.value > 0:
        for name in [each for each, until in closed.items() if until <= hour + 1e-9]:
            del closed[name]
            reopen(name)
        for name in closed:
            keep_closed(name)
        leaks = _mended(engine, leaks, hour)
        try:
            engine._call("runH", ctypes.byref(now))
        except HydraulicError:
            found.append(Moment(hour, 0.0, 1.0, found[-1].levels if found else np.zeros(len(tanks))))
            return found
        found.append(_moment(engine, hour, leaks, tanks))
        if ended(found[-1]):
            return found
        engine._call("nextH", ctypes.byref(step))
        hour += step.value / _HOUR_S
    return found


def _mended(engine: Epanet, leaks: list[Leak], hour: float) -> list[Leak]:
    """The leaks that are left; what the others let out is stopped."""
    for leak in (each for each in leaks if each.until <= hour + 1e-9):
        engine._leak(leak.node, -leak.coefficient)
    return [each for each in leaks if each.until > hour + 1e-9]


def _moment(engine: Epanet, hour: float, leaks: Sequence[Leak], tanks: Sequence[int]) -> Moment:
    holes: dict[str, float] = {}
    for leak in leaks:
        holes[leak.node] = holes.get(leak.node, 0.0) + leak.coefficient
    delivered = float(np.maximum(engine._demands() - engine._let_out(holes), 0.0).sum())
    short = sum(max(engine._number("getnodevalue", at, _DEFICIT), 0.0) for at in engine._junctions)
    levels = np.array([engine._number("getnodevalue", at, _PRESSURE) for at in tanks], dtype=np.float64)
    return Moment(hour, delivered, delivered + short, levels)


class _Control(NamedTuple):
    """A simple control of a link, which would open it again while it is out."""

    number: int
    kind: int
    link: int
    setting: float
    node: int
    level: float

    def put(self, engine: Epanet) -> None:
        setting, level = ctypes.c_double(self.setting), ctypes.c_double(self.level)
        engine._call("setcontrol", self.number, self.kind, self.link, setting, self.node, level)


def _silence(engine: Epanet, name: str) -> list[_Control]:
    """Controls of a link as they were, each made to close it."""
    found, wanted = [], engine._link_at.get(name)
    for number in range(1, engine._integer("getcount", _CONTROLS) + 1):
        kind, link, node = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        setting, level = ctypes.c_double(), ctypes.c_double()
        references = (ctypes.byref(each) for each in (kind, link, setting, node, level))
        engine._call("getcontrol", number, *references)
        if link.value == wanted:
            found.append(_Control(number, kind.value, link.value, setting.value, node.value, level.value))
            found[-1]._replace(setting=0.0).put(engine)
    return found
