"""A water network in EPANET, pressure-driven: opened once in a process, then solved again and again with links closed.

Speaks to EPANET's own library (it comes with wntr), so that no file is written or read between two runs.
"""

import ctypes
import hashlib
import importlib.util
import math
import platform
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from lifeline.errors import ConfigurationError, LifelineError
from lifeline.risk.assets import Floats

US_UNITS = ("CFS", "GPM", "MGD", "IMGD", "AFD")
REQUIRED_M, REQUIRED_PSI = 20.0, 28.0
"""Pressure at which the whole demand is delivered, where the model does not say (default); none at 0."""
# Codes of EPANET 2.2's library.
_DEMAND, _EMITTER, _PRESSURE, _DIAMETER, _EMITTER_EXPONENT = 9, 3, 11, 0, 3
_INITIAL_STATUS, _INITIAL_SETTING, _STATUS, _SETTING = 4, 5, 11, 12
_CHECK_VALVE, _PIPE, _JUNCTION, _NODES, _LINKS = 0, 1, 0, 0, 2
_NO_SETTING = -1e6
"""EPANET says -1e10, in whatever units, of a valve that is fully open or closed instead of set."""
_DURATION, _HYDRAULIC_STEP = 0, 1
_FIRST_ERROR = 100
_FRESH = 10  # flows begin anew, so that a run does not depend on the one before it
_HOUR_S = 3600
DISCHARGE = 0.75
"""Coefficient of discharge of a leak: that of wntr's leaks."""
ORIFICE_HEAD_M = 30.0
"""Where a model's emitters follow another power than the orifice law, both agree at this head (default)."""
_GRAVITY, _METRES_A_PSI = 9.81, 0.70325
_PER_M3S = (35.3147, 15850.3, 22.8245, 19.0053, 70.0456, 1e3, 6e4, 86.4, 3600.0, 86400.0)
"""Flow of 1 m3/s in EPANET's units, by their code: CFS, GPM, MGD, IMGD, AFD, LPS, LPM, MLD, CMH, CMD."""


class HydraulicError(LifelineError):
    """EPANET refuses the model or cannot solve it."""


class Model(NamedTuple):
    """The text of an .inp file, as it goes to workers."""

    name: str
    text: str
    hours: int = 24
    """Hours that are simulated; 0: one moment."""


def read_model(path: Path, hours: int = 24) -> Model:
    """Raises ConfigurationError for a file that cannot be read."""
    try:
        return Model(path.name, path.read_text(encoding="utf-8", errors="replace"), hours)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def opened(model: Model) -> "Epanet":
    """The model in EPANET, kept open in this process."""
    return _opened(hashlib.sha256(model.text.encode()).hexdigest(), model)


@lru_cache(maxsize=2)
def _opened(digest: str, model: Model) -> "Epanet":  # noqa: ARG001 - the digest makes a short key
    return Epanet(model)


class Epanet:
    """An open project. ``nodes`` and ``links`` are names in the engine's order; one thread at a time is let in."""

    def __init__(self, model: Model) -> None:
        self._library = _library()
        self._project = ctypes.c_uint64()
        self._hours = model.hours
        self._lock = Lock()
        self._call("createproject", project=ctypes.byref(self._project))
        with tempfile.TemporaryDirectory(prefix="lifeline-epanet-") as folder:
            path = Path(folder, "model.inp")
            path.write_text(pressure_driven(model.text), encoding="utf-8")
            report, output = (str(path.with_suffix(end)).encode() for end in (".rpt", ".bin"))
            try:
                self._call("open", str(path).encode(), report, output)
            except HydraulicError as error:
                raise HydraulicError(f"EPANET refuses {model.name}: {error}{_said(path.with_suffix('.rpt'))}") from None
        self._call("settimeparam", _DURATION, ctypes.c_long(self._hours * _HOUR_S))
        self._call("settimeparam", _HYDRAULIC_STEP, ctypes.c_long(_HOUR_S))
        self.nodes, self.links = self._names("getnodeid", _NODES), self._names("getlinkid", _LINKS)
        self._link_at = {name: at for at, name in enumerate(self.links, 1)}
        self._node_at = {name: at for at, name in enumerate(self.nodes, 1)}
        self._junctions = [at for at in range(1, len(self.nodes) + 1) if self._integer("getnodetype", at) == _JUNCTION]
        self.junctions = [self.nodes[at - 1] for at in self._junctions]
        self._call("openH")

    def __del__(self) -> None:
        self._library.EN_deleteproject(self._project)

    def _call(self, name: str, *arguments: Any, project: Any = None) -> None:
        """Call a function of the library. Raises HydraulicError; a warning (a negative pressure, say) is no error."""
        code = getattr(self._library, f"EN_{name}")(self._project if project is None else project, *arguments)
        if code >= _FIRST_ERROR:
            text = ctypes.create_string_buffer(256)
            self._library.EN_geterror(code, text, 255)
            raise HydraulicError(text.value.decode(errors="replace") or f"error {code}")

    def _integer(self, name: str, *arguments: Any) -> int:
        value = ctypes.c_int()
        self._call(name, *arguments, ctypes.byref(value))
        return value.value

    def _number(self, name: str, at: int, code: int) -> float:
        value = ctypes.c_double()
        self._call(name, at, code, ctypes.byref(value))
        return value.value

    def _set(self, name: str, at: int, code: int, value: float) -> None:
        self._call(name, at, code, ctypes.c_double(value))

    def _names(self, name: str, what: int) -> list[str]:
        text, found = ctypes.create_string_buffer(64), []
        for at in range(1, self._integer("getcount", what) + 1):
            self._call(name, at, text)
            found.append(text.value.decode(errors="replace"))
        return found

    def delivered(self, closed: Sequence[str] = (), leaks: Mapping[str, float] | None = None) -> Floats:
        """Mean demand delivered at each node (n,) in the model's units while links are closed and nodes leak.

        ``leaks`` are emitter coefficients by junction (see ``orifice``), beside those of the model; what they let out
        is delivered to nobody. Where EPANET finds no solution, nothing is delivered from that hour on. Raises
        HydraulicError for a name that the model lacks.
        """
        with self._lock:
            before: list[tuple[int, int, float]] = []
            emitters: list[tuple[int, float]] = []
            try:
                for name in dict.fromkeys(closed):
                    before += self._close(name)
                emitters.extend(self._leak(*each) for each in (leaks or {}).items())
                return self._run(leaks or {})
            finally:
                for link, code, value in before:
                    self._set("setlinkvalue", link, code, value)
                for node, value in emitters:
                    self._set("setnodevalue", node, _EMITTER, value)

    def _close(self, name: str) -> list[tuple[int, int, float]]:
        """Close a link from the beginning on; the values to set so that it is as before (link, code, value)."""
        link = self._link_at.get(name)
        if link is None:
            raise HydraulicError(f"the model has no link {name!r}")
        kind = self._integer("getlinktype", link)
        if kind == _CHECK_VALVE:  # has no status of its own: a bore of next to nothing closes it
            before = [(link, _DIAMETER, self._number("getlinkvalue", link, _DIAMETER))]
        else:
            before = [(link, _INITIAL_STATUS, self._number("getlinkvalue", link, _INITIAL_STATUS))]
            setting = self._number("getlinkvalue", link, _INITIAL_SETTING) if kind > _PIPE else _NO_SETTING
            if setting > _NO_SETTING:  # a status takes the speed of a pump and the setting of a valve with it
                before.append((link, _INITIAL_SETTING, setting))
        self._keep_closed(before, initially=True)
        return before

    def _keep_closed(self, before: list[tuple[int, int, float]], *, initially: bool = False) -> None:
        """Close a link now or, from the beginning on, ``initially``; ``before`` is what _close gave."""
        link, code, value = before[0]
        if code == _DIAMETER:
            self._set("setlinkvalue", link, code, value * 1e-3)
        else:
            self._set("setlinkvalue", link, _INITIAL_STATUS if initially else _STATUS, 0.0)

    def _reopen(self, before: list[tuple[int, int, float]]) -> None:
        """Give a link back what _close took, in the middle of a simulation."""
        for link, code, value in before:
            self._set(
                "setlinkvalue", link, {_INITIAL_STATUS: _STATUS, _INITIAL_SETTING: _SETTING}.get(code, code), value
            )

    def _leak(self, name: str, coefficient: float) -> tuple[int, float]:
        node = self._node_at.get(name)
        if node is None:
            raise HydraulicError(f"the model has no node {name!r}")
        value = self._number("getnodevalue", node, _EMITTER)
        # what rounding leaves of leaks that are taken away again may be below zero, which EPANET refuses
        self._set("setnodevalue", node, _EMITTER, max(value + coefficient, 0.0))
        return node, value

    def orifice(self, area_m2: float) -> float:
        """The emitter coefficient, in the model's units, of a hole: Q = Cd A sqrt(2 g h)."""
        units = ctypes.c_int()
        self._call("getflowunits", ctypes.byref(units))
        flow = DISCHARGE * area_m2 * math.sqrt(2 * _GRAVITY * ORIFICE_HEAD_M) * _PER_M3S[units.value]
        in_psi = units.value < len(US_UNITS)
        return float(flow / (ORIFICE_HEAD_M / (_METRES_A_PSI if in_psi else 1.0)) ** self._emitter_exponent())

    def _emitter_exponent(self) -> float:
        value = ctypes.c_double()
        self._call("getoption", _EMITTER_EXPONENT, ctypes.byref(value))
        return value.value

    def _run(self, leaks: Mapping[str, float]) -> Floats:
        total, samples, due = np.zeros(len(self.nodes)), 0, 0
        self._call("initH", _FRESH)
        now, step = ctypes.c_long(), ctypes.c_long(1)
        while step.value > 0:
            try:
                self._call("runH", ctypes.byref(now))
            except HydraulicError:
                break  # no solution: nothing is delivered from here on
            if now.value >= due:
                samples, due = samples + 1, due + _HOUR_S
                total += np.maximum(self._demands() - self._let_out(leaks), 0.0)  # EPANET counts a leak as demand
            self._call("nextH", ctypes.byref(step))
        return total / max(samples, self._hours + 1 if self._hours else 1)

    def _demands(self) -> Floats:
        found, value = np.zeros(len(self.nodes)), ctypes.c_double()
        get, project, reference = self._library.EN_getnodevalue, self._project, ctypes.byref(value)
        for at in self._junctions:
            get(project, at, _DEMAND, reference)
            found[at - 1] = value.value
        return np.maximum(found, 0.0)  # what is below zero flows in

    def _let_out(self, leaks: Mapping[str, float]) -> Floats:
        """What leaves through the leaks (n,) at this moment: C p^e."""
        found, exponent = np.zeros(len(self.nodes)), self._emitter_exponent() if leaks else 1.0
        for name, coefficient in leaks.items():
            pressure = self._number("getnodevalue", self._node_at[name], _PRESSURE)
            found[self._node_at[name] - 1] = coefficient * max(pressure, 0.0) ** exponent
        return found


@lru_cache(maxsize=1)
def _library() -> Any:
    """EPANET 2.2's library, which comes with wntr. wntr itself is not imported: that takes seconds in every worker."""
    spec = importlib.util.find_spec("wntr")
    if spec is None or spec.origin is None:
        raise ConfigurationError("EPANET needs the extra: pip install 'lifeline[planning]'")
    folder = Path(spec.origin).parent / "epanet" / "libepanet"
    system, machine = platform.system(), platform.machine()
    known = {
        ("Linux", "x86_64"): "linux-x64/libepanet22.so",
        ("Darwin", "x86_64"): "darwin-x64/libepanet22.dylib",
        ("Darwin", "arm64"): "darwin-arm/libepanet2.dylib",
    }
    file = folder / known.get((system, machine), "windows-x64/epanet22.dll")
    try:
        return ctypes.cdll.LoadLibrary(str(file))
    except OSError as error:
        raise ConfigurationError(f"wntr has no EPANET library for {system} {machine}: {error}") from error


def _said(report: Path) -> str:
    """What EPANET wrote about the model's mistakes."""
    lines = report.read_text(errors="replace").splitlines() if report.exists() else []
    told = [line.strip() for line in lines if "Error" in line]
    return f" ({'; '.join(told[:3])})" if told else ""


def pressure_driven(text: str) -> str:
    """The model with demands that depend on pressure (Wagner), full at 20 m or 28 psi unless it says so itself."""
    lines = [line.partition(";")[0].split() for line in text.upper().splitlines()]
    if any(fields[:3] == ["DEMAND", "MODEL", "PDA"] for fields in lines):
        return text
    units = next((fields[1] for fields in lines if len(fields) == 2 and fields[0] == "UNITS"), "GPM")
    required = REQUIRED_PSI if units in US_UNITS else REQUIRED_M
    options = (
        f"[OPTIONS]\nDEMAND MODEL PDA\nMINIMUM PRESSURE 0\nREQUIRED PRESSURE {required:g}\nPRESSURE EXPONENT 0.5\n"
    )
    at = text.upper().rfind("[END]")
    body = text if at < 0 else text[:at]
    return f"{body.rstrip()}\n\n{options}\n[END]\n"
