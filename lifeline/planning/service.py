"""Who is served while parts of a network are out, and until they are mended: by the graph, or pressure-driven in
EPANET. Goes to workers."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Protocol

import numpy as np

from lifeline.errors import ConfigurationError
from lifeline.planning import outage
from lifeline.planning.course import Course
from lifeline.planning.hydraulics import Epanet, Model, opened
from lifeline.risk.assets import Bools, Floats, Ints
from lifeline.risk.reach import Topology

NONE: Ints = np.empty(0, np.int_)
LOOKS = 12
"""Moments of a recovery at which a service without storage is computed: more would cost time and say no more."""
FOLLOWED_H = 168
"""Hours after a shock that are followed at most (default)."""


class Service(Protocol):
    """Who is served of a network of n assets while some are out."""

    loses_water: ClassVar[bool]
    """Whether leaks take anything from anybody."""

    def unserved(self, out: Ints) -> Floats:
        """Share of its own service that each asset (n,) is without."""

    def share(self, out: Ints, leaking: Ints = NONE) -> float:
        """Share of what is delivered with nothing out that is still delivered while assets are out and others leak."""

    def course(self, out: Ints, leaking: Ints, done: Floats) -> Course:
        """Service until all is mended: ``done`` (o + l,) says when each of ``out``, then of ``leaking`` is."""


def steady_course(service: Service, out: Ints, leaking: Ints, done: Floats) -> Course:
    """The course of a service that stores nothing: each state of repair has one share."""
    order = np.concatenate([out, leaking])
    looks = _looks(0, len(out))
    if service.loses_water:
        looks += _looks(len(out), len(order))
    times, shares = [0.0], [service.share(out, leaking)]
    for count in looks:
        when = float(done[:count].max())
        share = service.share(order[count : len(out)], order[max(count, len(out)) :])
        if when == times[-1]:
            shares[-1] = share
        else:
            times.append(when)
            shares.append(share)
    return Course(np.array(times), np.array(shares), float(done.max()))


def _looks(begin: int, end: int) -> list[int]:
    """How many are mended at the moments that are looked at, between two counts."""
    points = np.linspace(begin, end, min(LOOKS, end - begin) + 1)
    return [int(each) for each in np.unique(points.round())[1:]]


@dataclass(frozen=True, slots=True, eq=False)
class GraphService:
    """A network of n assets as a graph; ``weight`` (n,) is what each delivers."""

    loses_water: ClassVar[bool] = False
    graph: Topology
    weight: Floats

    def unserved(self, out: Ints) -> Floats:
        """Share of its own service that each asset (n,) is without: 1 where no source is reached, else 0."""
        return 1.0 - self._reached(out).astype(np.float64)

    def share(self, out: Ints, leaking: Ints = NONE) -> float:  # noqa: ARG002 - a graph carries no water
        """Share of what is delivered with nothing out that is still delivered; leaks count for nothing here."""
        before = float(self.weight[self._reached(NONE)].sum())
        return float(self.weight[self._reached(out)].sum()) / before if before > 0 else 1.0

    def course(self, out: Ints, leaking: Ints, done: Floats) -> Course:
        """Service as repairs are done."""
        return steady_course(self, out, leaking, done)

    def _reached(self, out: Ints) -> Bools:
        try:
            from scipy.sparse import coo_array
            from scipy.sparse.csgraph import breadth_first_order
        except ImportError as error:
            raise ConfigurationError("a stress test needs the extra: pip install 'lifeline[planning]'") from error
        graph = self.graph
        alive = np.ones(graph.n + 1, np.bool_)
        alive[out] = False
        root = np.full(len(graph.sources), graph.n)
        tail, head = np.concatenate([graph.tail, root]), np.concatenate([graph.head, graph.sources])
        kept = alive[tail] & alive[head]
        links = coo_array((np.ones(int(kept.sum())), (tail[kept], head[kept])), shape=(graph.n + 1, graph.n + 1))
        order = breadth_first_order(links.tocsr(), graph.n, directed=graph.directed, return_predecessors=False)
        found = np.zeros(graph.n + 1, np.bool_)
        found[order] = True
        return found[: graph.n]


@dataclass(frozen=True, slots=True, eq=False)
class EpanetService:
    """The same by a model; ``closes`` holds for each asset the links to close, ``node`` its name where it is one.

    ``leaks`` holds for each asset the emitters, by junction, that stand for one leak in it.
    """

    loses_water: ClassVar[bool] = True
    model: Model
    closes: tuple[tuple[str, ...], ...]
    node: tuple[str | None, ...]
    leaks: tuple[tuple[tuple[str, float], ...], ...]
    hours: int = FOLLOWED_H

    def unserved(self, out: Ints) -> Floats:
        """Share of its demand that each asset (n,) is without."""
        intact, served = _intact(self.model), self._delivered(out)
        lost = np.divide(intact - served, intact, out=np.zeros(len(intact)), where=intact > 0)
        by_name = dict(zip(opened(self.model).nodes, np.clip(lost, 0.0, 1.0).tolist(), strict=True))
        return np.array([by_name.get(each or "", 0.0) for each in self.node], dtype=np.float64)

    def share(self, out: Ints, leaking: Ints = NONE) -> float:
        """Share of the demand that is still delivered while assets are closed and others leak."""
        intact = _intact(self.model)
        return float(self._delivered(out, leaking).sum() / max(float(intact.sum()), 1e-12))

    def course(self, out: Ints, leaking: Ints, done: Floats) -> Course:
        """Hour by hour until all is mended and tanks are as full as usual, ``hours`` at most."""
        model = self.model._replace(hours=self.hours)
        until = [done[: len(out)].tolist(), done[len(out) :].tolist()]
        closed: dict[str, float] = {}
        for at, when in zip(out.tolist(), until[0], strict=True):
            closed |= {name: max(when, closed.get(name, 0.0)) for name in self.closes[at]}
        holes = [
            outage.Leak(node, coefficient, when)
            for at, when in zip(leaking.tolist(), until[1], strict=True)
            for node, coefficient in self.leaks[at]
        ]
        return outage.course(opened(model), _usual(model), closed, holes)

    def _delivered(self, out: Ints, leaking: Ints = NONE) -> Floats:
        closed = [name for at in out.tolist() for name in self.closes[at]]
        holes: dict[str, float] = {}
        for name, coefficient in (each for at in leaking.tolist() for each in self.leaks[at]):
            holes[name] = holes.get(name, 0.0) + coefficient
        return np.minimum(opened(self.model).delivered(closed, holes), _intact(self.model))


@lru_cache(maxsize=2)
def _intact(model: Model) -> Floats:
    return opened(model).delivered()


@lru_cache(maxsize=2)
def _usual(model: Model) -> outage.Usual:
    return outage.usual(opened(model))


def epanet_service(
    model: Model, elements: Any, leak_m2: Floats | None = None, hours: int = FOLLOWED_H
) -> EpanetService:
    """Assets of an inventory in a model: a link closes itself, a node the links that end at it.

    ``leak_m2`` (n,) is the area of one leak in each; half of it is put at each end of a pipe, all at one end where the
    other is a source. Raises ConfigurationError where no asset is a link of the model.
    """
    links, engine = set(opened(model).links), opened(model)
    nodes, junctions = set(engine.nodes), set(engine.junctions)
    kinds = ("pipe", "pump", "valve")
    element = dict(zip(elements.asset_id.tolist(), elements.element, strict=True))
    at_node: dict[int, list[str]] = {}
    for kind, name, a, b in zip(elements.kind, elements.element, elements.from_asset, elements.to_asset, strict=True):
        if kind in kinds and name in links:
            for end in (a, b):
                if end is not None:
                    at_node.setdefault(int(end), []).append(name)
    closes, node, leaks = [], [], []
    holes = np.zeros(len(elements.element)) if leak_m2 is None else leak_m2
    for at, (number, kind, name) in enumerate(
        zip(elements.asset_id.tolist(), elements.kind, elements.element, strict=True)
    ):
        is_link = kind in kinds and name in links
        closes.append((name,) if is_link else tuple(at_node.get(number, ())))
        node.append(name if not is_link and name in nodes else None)
        ends = [element.get(each) for each in (elements.from_asset[at], elements.to_asset[at])]
        leaks.append(_emitters(engine, [end for end in ends if end in junctions], float(holes[at])))
    if not any(closes):
        raise ConfigurationError(f"no asset is a link of {model.name}: import the model first")
    return EpanetService(model, tuple(closes), tuple(node), tuple(leaks), hours)


def _emitters(engine: Epanet, ends: list[str], area_m2: float) -> tuple[tuple[str, float], ...]:
    return tuple((end, engine.orifice(area_m2 / len(ends))) for end in ends if area_m2 > 0)
