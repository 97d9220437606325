"""SWMM 5 input files: nodes, links, and subcatchments as zones."""

from lifeline.exchange.models import Element, Model
from lifeline.exchange.sections import Fields, Line, Sections, option
from lifeline.model import AssetKind

US_FLOW = ("CFS", "GPM", "MGD")
HECTARES_AN_ACRE = 0.404_686

_NODES = {
    "JUNCTIONS": AssetKind.CHAMBER,
    "DIVIDERS": AssetKind.CHAMBER,
    "STORAGE": AssetKind.TANK,
    "OUTFALLS": AssetKind.OUTFALL,
}
_LINKS = {
    "CONDUITS": (AssetKind.PIPE, 7),
    "PUMPS": (AssetKind.PUMP, 4),
    "ORIFICES": (AssetKind.VALVE, 6),
    "WEIRS": (AssetKind.VALVE, 6),
    "OUTLETS": (AssetKind.VALVE, 5),
}


def read_swmm(sections: Sections, source: str, network: str) -> Model:
    """The model; mistakes are noted in its problems with their lines."""
    model = Model(source, "swmm", network)
    fields = Fields(model.problems)
    metres = 0.3048 if option(sections, "FLOW_UNITS", "CFS") in US_FLOW else 1.0
    for section, kind in _NODES.items():
        for line in sections.get(section, []):
            if fields.enough(line, 2, section.lower()):
                model.nodes.append(Element(line.number, line.fields[0], kind, _node_values(fields, line, kind, metres)))
    diameters = _diameters(sections, fields, metres)
    for section, (link_kind, count) in _LINKS.items():
        for line in sections.get(section, []):
            if fields.enough(line, count, section.lower()):
                _add_link(model, fields, line, link_kind, diameters, metres)
    for line, at in fields.positions(sections.get("COORDINATES", []), "coordinate"):
        model.positions[line.fields[0]] = at
    for line, at in fields.positions(sections.get("VERTICES", []), "vertex"):
        model.vertices.setdefault(line.fields[0], []).append(at)
    _add_areas(model, sections, fields, metres)
    return model


def _node_values(fields: Fields, line: Line, kind: AssetKind, metres: float) -> dict[str, object]:
    values: dict[str, object] = {}
    invert = fields.number(line, 1, "elevation")
    if invert is not None:
        values["elevation_m"] = round(invert * metres, 3)
    if kind is AssetKind.OUTFALL:
        return values
    depth = fields.number(line, 2, "depth", above=0.0)
    if depth:
        values["depth_m"] = round(depth * metres, 3)
    return values


def _diameters(sections: Sections, fields: Fields, metres: float) -> dict[str, float]:
    """Millimetres by link: the height of its cross section."""
    found = {}
    for line in sections.get("XSECTIONS", []):
        if len(line.fields) > 2 and line.fields[1].upper() not in ("IRREGULAR", "STREET"):
            height = fields.number(line, 2, "height", above=0.0)
            if height:
                found[line.fields[0]] = round(height * metres * 1000.0, 1)
    return found


def _add_link(
    model: Model, fields: Fields, line: Line, kind: AssetKind, diameters: dict[str, float], metres: float
) -> None:
    values: dict[str, object] = {}
    if kind is AssetKind.PIPE:
        length = fields.number(line, 3, "length", above=0.0)
        values["roughness"] = fields.number(line, 4, "roughness", above=0.0)
        if length is not None:
            values["length_m"] = round(length * metres, 3)
    if line.fields[0] in diameters:
        values |= model.diameter_of(line.fields[0], diameters[line.fields[0]])
    model.links.append(Element(line.number, line.fields[0], kind, values, (line.fields[1], line.fields[2])))


def _add_areas(model: Model, sections: Sections, fields: Fields, metres: float) -> None:
    """Subcatchments that have a polygon; one without is nowhere, and no zone."""
    rings: dict[str, list[list[float]]] = {}
    for line, at in fields.positions(sections.get("POLYGONS", []), "polygon"):
        rings.setdefault(line.fields[0], []).append(at)
    hectares = HECTARES_AN_ACRE if metres != 1.0 else 1.0
    for line in sections.get("SUBCATCHMENTS", []):
        if fields.enough(line, 5, "subcatchment") and len(rings.get(line.fields[0], [])) > 2:
            area = fields.number(line, 3, "area", above=0.0) or 0.0
            impervious = fields.number(line, 4, "imperviousness", above=0.0)
            values = {"outlet": line.fields[2], "area_ha": round(area * hectares, 4), "impervious_percent": impervious}
            model.areas[line.fields[0]] = (line.number, rings[line.fields[0]], values)
