"""Maps of parts of the city: what somebody with a scope sees, drawn from that alone.

The same statements and the same drawing as the city's map, on a connection that is held to the scope. A map is drawn
when it is asked for, and anew once the city's map was.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from api import ground, riskmap
from api.ground import Ground
from api.keeper import MapKeeper
from api.riskmap import RiskMap
from lifeline.catalogue import Catalogue
from lifeline.principal import Scope
from lifeline.risk.scheme import Scheme
from lifeline.storage import riskmap as rows
from lifeline.storage.behalf import PoolOnBehalf
from lifeline.storage.database import Pool, borrow

KEPT = 8
"""Scopes whose maps are held in memory: of each network, and some zones."""


@dataclass
class _Part:
    """The newest map of a scope, and the city's ground and drawing that it goes with."""

    lock: Lock
    drawn: RiskMap | None = None
    of: int = -1
    ground: Ground | None = None


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
        self._parts: OrderedDict[Scope, _Part] = OrderedDict()

    def current(self, scope: Scope) -> RiskMap:
        """The newest drawing of a scope's part. Raises ProblemError 503 while there is none of the city."""
        whole = self._keeper.current
        part = self._part(scope)
        with part.lock:
            if part.drawn is None or part.of != whole.number:
                part.drawn = self._draw(scope, part, whole)
                part.of, part.ground = whole.number, whole.ground
            return part.drawn

    def _part(self, scope: Scope) -> _Part:
        with self._lock:
            part = self._parts.pop(scope, None) or _Part(Lock())
            self._parts[scope] = part
            if len(self._parts) > KEPT:
                self._parts.popitem(last=False)
            return part

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

    @property
    def healthy(self) -> bool:
        """Whether the city's map was drawn lately."""
        return self.keeper.healthy
