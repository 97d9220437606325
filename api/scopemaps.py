"""Maps of parts of the city: what somebody with a scope sees, drawn from that alone.

The same statements and the same drawing as the city's map, on a connection that is held to the scope. A map is drawn
when it is asked for, and anew once the city's map was.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from threading import BoundedSemaphore, Lock

import numpy as np

from api import ground, riskmap
from api.ground import Ground
from api.keeper import MapKeeper
from api.past import Own
from api.problems import ProblemError
from api.riskmap import RiskMap
from lifeline.catalogue import Catalogue
from lifeline.principal import Scope
from lifeline.risk.scheme import Scheme
from lifeline.storage import riskmap as rows
from lifeline.storage.behalf import PoolOnBehalf
from lifeline.storage.database import Pool, borrow

KEPT = 32
"""Scopes whose maps are held in memory: those of a city's districts and networks. One that is not held is drawn anew at
each request, so that a few too many would have every request draw."""
KEPT_ASSETS = 200_000
"""Assets on all maps of scopes together, about 1.5 kB each (docs/explanation/risk-map.md): 300 MB.
One map is always held."""
DRAWN_AT_ONCE = 2
"""Drawings of scopes at a time; two, so that a large one does not keep every other one waiting."""
WAIT_S = 5.0
"""Seconds that a request waits for a drawing. The threads of requests are few, and serve the city's map as well."""


@dataclass
class _Part:
    """The newest map of a scope, and the city's ground and drawing that it goes with."""

    lock: Lock
    drawn: RiskMap | None = None
    of: int = -1
    ground: Ground | None = None

    @property
    def assets(self) -> int:
        """Assets on its map."""
        return len(self.drawn.ground.ids) if self.drawn else 0


@contextmanager
def _within(lock: "Lock | BoundedSemaphore") -> Iterator[bool]:
    """Whether it could be had in time; let go of afterwards."""
    had = lock.acquire(timeout=WAIT_S)
    try:
        yield had
    finally:
        if had:
            lock.release()


class ScopeMaps:
    """Draws and keeps maps by scope; safe from any thread."""

    def __init__(
        self, keeper: MapKeeper, pool: Pool, catalogue: Catalogue, scheme: Scheme, clock: Callable[[], datetime]
    ) -> None:
        self._keeper = keeper
        self._pool = pool
        self._catalogue = catalogue
        self._scheme = scheme
        self._clock = clock
        self._lock = Lock()
        self._drawing = BoundedSemaphore(DRAWN_AT_ONCE)
        self._parts: OrderedDict[Scope, _Part] = OrderedDict()

    def current(self, scope: Scope) -> RiskMap:
        """The newest drawing of a scope's part; the one before while too many others are drawn.

        Raises ProblemError 503 where there is none yet, and while there is none of the city.
        """
        whole = self._keeper.current
        part = self._part(scope)
        with _within(part.lock) as alone:
            if alone and (part.drawn is None or part.of != whole.number):
                with _within(self._drawing) as free:
                    if free:
                        part.drawn = self._draw(scope, part, whole)
                        part.of, part.ground = whole.number, whole.ground
                        self._forget()
        if part.drawn is None:
            raise ProblemError(503, "many maps are being drawn; try again", {"Retry-After": "5"})
        return part.drawn

    def _part(self, scope: Scope) -> _Part:
        with self._lock:
            part = self._parts.pop(scope, None) or _Part(Lock())
            self._parts[scope] = part
            return part

    def _forget(self) -> None:
        """Let go of the maps that nobody has asked for longest, until what is held fits."""
        with self._lock:
            assets = sum(part.assets for part in self._parts.values())
            while len(self._parts) > 1 and (len(self._parts) > KEPT or assets > KEPT_ASSETS):
                assets -= self._parts.popitem(last=False)[1].assets

    def _draw(self, scope: Scope, part: _Part, whole: RiskMap) -> RiskMap:
        before = part.drawn if part.ground is whole.ground else None
        now = self._clock()
        with borrow(PoolOnBehalf(self._pool, None, scope)) as connection:
            rows.one_moment(connection)
            base = before.ground if before else ground.load(connection, self._catalogue, self._scheme)
            alerts, newest = riskmap.read(connection, base, now)
        drawn = riskmap.build(base, alerts, newest, now, before)
        drawn.served_from = whole.served_from
        return drawn


@dataclass(frozen=True, slots=True)
class ScopeMap:
    """What stands in the keeper's place for somebody with a scope."""

    maps: ScopeMaps
    keeper: MapKeeper
    scope: Scope

    @property
    def current(self) -> RiskMap:
        """The newest drawing of his part."""
        return self.maps.current(self.scope)

    def own(self, resolution: int) -> Own:
        """What of a recorded map of the whole city may be told to him: his assets, and cells with nothing but his."""
        part, whole = self.current, self.keeper.current
        mine, every = part.cells[resolution].layer, whole.cells[resolution].layer
        known = [(at, every.cell_at[cell]) for at, cell in enumerate(mine.cells) if cell in every.cell_at]
        of_part, of_city = np.array(known, dtype=np.int_).reshape(-1, 2).T
        alone = np.ones(len(known), dtype=bool)
        for ours, theirs in ((mine.assets, every.assets), (mine.sensors, every.sensors)):
            alone &= np.diff(ours.start)[of_part] == np.diff(theirs.start)[of_city]
        return Own(frozenset(mine.cells[at] for at in of_part[alone].tolist()), frozenset(part.ground.ids.tolist()))

    @property
    def healthy(self) -> bool:
        """Whether the city's map was drawn lately."""
        return self.keeper.healthy
