"""A water network in EPANET, pressure-driven: opened once in a process, then solved again and again with links closed.

Speaks to EPANET's own library (it comes with wntr), so that no file is written or read between two runs.
"""

import ctypes
import hashlib
import logging
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lifeline.errors import ConfigurationError, LifelineError
from lifeline.risk.assets import Floats

US_UNITS = ("CFS", "GPM", "MGD", "IMGD", "AFD")
REQUIRED_M, REQUIRED_PSI = 20.0, 28.0
"""Pressure at which the whole demand is delivered, where the model does not say (default); none at 0."""
# Codes of EPANET 2.2's library.
_DEMAND, _EMITTER, _DIAMETER, _INITIAL_STATUS = 9, 3, 0, 4
_CHECK_VALVE, _JUNCTION, _NODES, _LINKS = 0, 0, 0, 2
_DURATION, _HYDRAULIC_STEP = 0, 1
_FRESH = 10  # flows begin anew, so that a run does not depend on the one before it
_HOUR_S = 3600


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
    """An open project. ``nodes`` and ``links`` are names in the engine's order; not for two threads at a time."""

    def __init__(self, model: Model) -> None:
        try:
            from wntr.epanet.exceptions import EpanetException
            from wntr.epanet.toolkit import ENepanet
        except ImportError as error:
            raise ConfigurationError("EPANET needs the extra: pip install 'lifeline[planning]'") from error
        logging.getLogger("wntr.epanet.toolkit").setLevel(logging.CRITICAL)  # negative pressures are what is looked for
        self._failure: type[Exception] = EpanetException
        self._engine: Any = ENepanet(version=2.2)
        self._hours = model.hours
        with tempfile.TemporaryDirectory(prefix="lifeline-epanet-") as folder:
            path = Path(folder, "model.inp")
            path.write_text(pressure_driven(model.text), encoding="utf-8")
            self._open(path, model.name)
        self._library, self._handle = self._engine.ENlib, self._engine._project
        self.nodes = [self._engine.ENgetnodeid(at) for at in range(1, self._engine.ENgetcount(_NODES) + 1)]
        self.links = self._link_names()
        self._link_at = {name: at for at, name in enumerate(self.links, 1)}
        self._node_at = {name: at for at, name in enumerate(self.nodes, 1)}
        self._junctions = [at for at in range(1, len(self.nodes) + 1) if self._engine.ENgetnodetype(at) == _JUNCTION]
        self._engine.ENopenH()

    def _open(self, path: Path, name: str) -> None:
        try:
            self._engine.ENopen(str(path), str(path.with_suffix(".rpt")), str(path.with_suffix(".bin")))
            self._engine.ENsettimeparam(_DURATION, self._hours * _HOUR_S)
            self._engine.ENsettimeparam(_HYDRAULIC_STEP, _HOUR_S)
        except self._failure as error:
            raise HydraulicError(f"EPANET refuses {name}: {error}") from error

    def _link_names(self) -> list[str]:
        names = []
        text = ctypes.create_string_buffer(64)
        for at in range(1, self._engine.ENgetcount(_LINKS) + 1):
            self._library.EN_getlinkid(self._handle, at, text)
            names.append(text.value.decode(errors="replace"))
        return names

    def delivered(self, closed: Sequence[str] = (), leaks: Mapping[str, float] | None = None) -> Floats:
        """Mean demand delivered at each node (n,) in the model's units while links are closed and nodes leak.

        ``leaks`` are emitter coefficients by node; what they let out counts for nobody. Where EPANET finds no solution
        for an hour, nothing is delivered in it. Raises HydraulicError for a name that the model lacks.
        """
        before = [self._close(name) for name in closed]
        emitters = self._leak(leaks or {})
        try:
            return self._run(leaks or {})
        finally:
            for link, code, value in before:
                self._engine.ENsetlinkvalue(link, code, value)
            for node, value in emitters:
                self._engine.ENsetnodevalue(node, _EMITTER, value)

    def _close(self, name: str) -> tuple[int, int, float]:
        link = self._link_at.get(name)
        if link is None:
            raise HydraulicError(f"the model has no link {name!r}")
        # A check valve has no status of its own: a bore of next to nothing closes it.
        check = self._engine.ENgetlinktype(link) == _CHECK_VALVE
        code = _DIAMETER if check else _INITIAL_STATUS
        value = self._link_value(link, code)
        self._engine.ENsetlinkvalue(link, code, value * 1e-3 if check else 0.0)
        return link, code, value

    def _link_value(self, link: int, code: int) -> float:
        value = ctypes.c_double()
        self._library.EN_getlinkvalue(self._handle, link, code, ctypes.byref(value))
        return value.value

    def _leak(self, leaks: Mapping[str, float]) -> list[tuple[int, float]]:
        kept = []
        for name, coefficient in leaks.items():
            node = self._node_at[name]
            kept.append((node, self._engine.ENgetnodevalue(node, _EMITTER)))
            self._engine.ENsetnodevalue(node, _EMITTER, coefficient)
        return kept

    def _run(self, leaks: Mapping[str, float]) -> Floats:
        total, samples, due = np.zeros(len(self.nodes)), 0, 0
        self._engine.ENinitH(_FRESH)
        while True:
            try:
                seconds, solved = self._engine.ENrunH(), True
            except self._failure:
                seconds, solved = due, False
            if seconds >= due:
                samples, due = samples + 1, due + _HOUR_S
                if solved:
                    total += self._demands()
            step = self._engine.ENnextH() if solved else 0
            if step <= 0:
                break
        for name in leaks:
            total[self._node_at[name] - 1] = 0.0  # demand and leak are one figure there
        return total / max(samples, self._hours + 1 if self._hours else 1)

    def _demands(self) -> Floats:
        found, value = np.zeros(len(self.nodes)), ctypes.c_double()
        get, handle, reference = self._library.EN_getnodevalue, self._handle, ctypes.byref(value)
        for at in self._junctions:
            get(handle, at, _DEMAND, reference)
            found[at - 1] = value.value
        return np.maximum(found, 0.0)  # what is below zero flows in


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
