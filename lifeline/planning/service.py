"""Who is served while parts of a network are out: by the graph, or pressure-driven in EPANET. Goes to workers."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lifeline.errors import ConfigurationError
from lifeline.planning.hydraulics import Model, opened
from lifeline.risk.assets import Bools, Floats, Ints
from lifeline.risk.reach import Topology


@dataclass(frozen=True, slots=True, eq=False)
class GraphService:
    """A network of n assets as a graph; ``weight`` (n,) is what each delivers."""

    graph: Topology
    weight: Floats

    def unserved(self, out: Ints) -> Floats:
        """Share of its own service that each asset (n,) is without: 1 where no source is reached, else 0."""
        return 1.0 - self._reached(out).astype(np.float64)

    def share(self, out: Ints) -> float:
        """Share of what is delivered with nothing out that is still delivered."""
        before = float(self.weight[self._reached(np.empty(0, np.int_))].sum())
        return float(self.weight[self._reached(out)].sum()) / before if before > 0 else 1.0

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
    """The same by a model; ``closes`` holds for each asset the links to close, ``node`` its name where it is one."""

    model: Model
    closes: tuple[tuple[str, ...], ...]
    node: tuple[str | None, ...]

    def unserved(self, out: Ints) -> Floats:
        """Share of its demand that each asset (n,) is without."""
        intact, served = _intact(self.model), self._delivered(out)
        lost = np.divide(intact - served, intact, out=np.zeros(len(intact)), where=intact > 0)
        by_name = dict(zip(opened(self.model).nodes, np.clip(lost, 0.0, 1.0).tolist(), strict=True))
        return np.array([by_name.get(each or "", 0.0) for each in self.node], dtype=np.float64)

    def share(self, out: Ints) -> float:
        """Share of the demand that is still delivered."""
        intact = _intact(self.model)
        return float(self._delivered(out).sum() / max(float(intact.sum()), 1e-12))

    def _delivered(self, out: Ints) -> Floats:
        closed = [name for at in out.tolist() for name in self.closes[at]]
        return np.minimum(opened(self.model).delivered(closed), _intact(self.model))


@lru_cache(maxsize=2)
def _intact(model: Model) -> Floats:
    return opened(model).delivered()


Service = GraphService | EpanetService


def epanet_service(model: Model, elements: Any) -> EpanetService:
    """Assets of an inventory in a model: a link closes itself, a node the links that end at it."""
    links, nodes = set(opened(model).links), set(opened(model).nodes)
    kinds = ("pipe", "pump", "valve")
    at_node: dict[int, list[str]] = {}
    for kind, name, a, b in zip(elements.kind, elements.element, elements.from_asset, elements.to_asset, strict=True):
        if kind in kinds and name in links:
            for end in (a, b):
                if end is not None:
                    at_node.setdefault(int(end), []).append(name)
    closes, node = [], []
    for number, kind, name in zip(elements.asset_id.tolist(), elements.kind, elements.element, strict=True):
        is_link = kind in kinds and name in links
        closes.append((name,) if is_link else tuple(at_node.get(number, ())))
        node.append(name if not is_link and name in nodes else None)
    if not any(closes):
        raise ConfigurationError(f"no asset is a link of {model.name}: import the model first")
    return EpanetService(model, tuple(closes), tuple(node))
