"""EPANET 2.2 input files: junctions, reservoirs, tanks, pipes, pumps and valves."""

from collections import defaultdict

from lifeline.exchange.models import Element, Model
from lifeline.exchange.sections import Fields, Line, Sections, option
from lifeline.model import AssetKind

US_FLOW = ("CFS", "GPM", "MGD", "IMGD", "AFD")
"""With one of these lengths are in feet and diameters in inches, otherwise in metres and millimetres."""
LITRES_A_SECOND = {
    "CFS": 28.316847, "GPM": 0.0630902, "MGD": 43.8126364, "IMGD": 52.6168042, "AFD": 14.2764102,
    "LPS": 1.0, "LPM": 1.0 / 60.0, "MLD": 11.5740741, "CMH": 1.0 / 3.6, "CMD": 1.0 / 86.4, "CMS": 1000.0,
}  # fmt: skip


def read_epanet(sections: Sections, source: str, network: str) -> Model:
    """The model; mistakes are noted in its problems with their lines."""
    model = Model(source, "epanet", network)
    reader = _Reader(sections, model)
    reader.nodes()
    reader.links()
    for line, at in reader.fields.positions(sections.get("COORDINATES", []), "coordinate"):
        model.positions[line.fields[0]] = at
    for line, at in reader.fields.positions(sections.get("VERTICES", []), "vertex"):
        model.vertices.setdefault(line.fields[0], []).append(at)
    return model


class _Reader:
    def __init__(self, sections: Sections, model: Model) -> None:
        self.sections = sections
        self.model = model
        self.fields = Fields(model.problems)
        flow = option(sections, "UNITS", "GPM")
        us = flow in US_FLOW
        self.metres, self.millimetres = (0.3048, 25.4) if us else (1.0, 1.0)
        self.litres = LITRES_A_SECOND.get(flow, 1.0)

    def nodes(self) -> None:
        demands = self._demands()
        for line in self.sections.get("JUNCTIONS", []):
            elevation = self._elevation(line, "elevation")
            demand = self.fields.number(line, 2, "demand") or 0.0
            litres = round(demands.get(line.fields[0], demand) * self.litres, 6)
            self._node(line, AssetKind.JUNCTION, {**elevation, "demand_lps": litres})
        for line in self.sections.get("RESERVOIRS", []):
            self._node(line, AssetKind.TANK, {**self._elevation(line, "head"), "source": True})
        for line in self.sections.get("TANKS", []):
            if self.fields.enough(line, 6, "tank"):
                diameter = self.fields.number(line, 5, "diameter", above=0.0) or 0.0
                self._node(
                    line,
                    AssetKind.TANK,
                    {**self._elevation(line, "elevation"), "tank_diameter_m": round(diameter * self.metres, 3)},
                )

    def _demands(self) -> dict[str, float]:
        """[DEMANDS] takes the place of the demand in [JUNCTIONS]."""
        total: dict[str, float] = defaultdict(float)
        for line in self.sections.get("DEMANDS", []):
            total[line.fields[0]] += self.fields.number(line, 1, "demand") or 0.0
        return total

    def _elevation(self, line: Line, what: str) -> dict[str, float]:
        value = self.fields.number(line, 1, what)
        return {} if value is None else {"elevation_m": round(value * self.metres, 3)}

    def _node(self, line: Line, kind: AssetKind, values: dict[str, object]) -> None:
        self.model.nodes.append(Element(line.number, line.fields[0], kind, values))

    def links(self) -> None:
        for line in self.sections.get("PIPES", []):
            if self.fields.enough(line, 6, "pipe"):
                self._link(line, AssetKind.PIPE, self._pipe(line))
        for line in self.sections.get("PUMPS", []):
            if self.fields.enough(line, 3, "pump"):
                self._link(line, AssetKind.PUMP, {})
        for line in self.sections.get("VALVES", []):
            if self.fields.enough(line, 5, "valve"):
                self._link(line, AssetKind.VALVE, {**self._diameter(line, 3), "valve_type": line.fields[4].upper()})

    def _pipe(self, line: Line) -> dict[str, object]:
        length = self.fields.number(line, 3, "length", above=0.0)
        roughness = self.fields.number(line, 5, "roughness", above=0.0)
        values: dict[str, object] = {**self._diameter(line, 4), "roughness": roughness}
        if length is not None:
            values["length_m"] = round(length * self.metres, 3)
        status = line.fields[-1].upper()
        if status in ("CLOSED", "CV"):
            values["status"] = status.lower()
        return values

    def _diameter(self, line: Line, position: int) -> dict[str, object]:
        diameter = self.fields.number(line, position, "diameter", above=0.0)
        return self.model.diameter_of(line.fields[0], diameter and diameter * self.millimetres)

    def _link(self, line: Line, kind: AssetKind, values: dict[str, object]) -> None:
        ends = (line.fields[1], line.fields[2])
        self.model.links.append(Element(line.number, line.fields[0], kind, values, ends))
