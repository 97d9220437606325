"""What a renewal is worth: the expected cost of failures that it removes over a horizon, discounted to today.

With f_i(t) the failures of pipe i to be expected in year t if it is left (they grow as it ages), g_i(s) those of a new
pipe of the renewal material in its year s, C_i what one failure costs (its consequence class; it does not change), v =
1/(1 + r) and a horizon of H years, the gain of renewing i at the begin of year y is

    G_i(y) = C_i * sum over t = y .. H-1 of v^t (f_i(t) - g_i(t - y)).

The net present value of renewal is the usual criterion of pipe replacement since Shamir and Howard (1979).
"""

from dataclasses import dataclass, replace

import numpy as np

from lifeline import risk
from lifeline.errors import ConfigurationError
from lifeline.planning.cost import Costs
from lifeline.planning.segments import Floats, Segments
from lifeline.risk.deterioration import Deterioration, cumulative, shipped_deterioration
from lifeline.risk.likelihood import ages, expected_failures, likelihood_of


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far ahead is looked, and at which discount rate a year."""

    years: int = 30
    discount: float = 0.04

    def __post_init__(self) -> None:
        if not 1 <= self.years <= 100 or not 0 <= self.discount <= 0.2:
            raise ConfigurationError("the horizon is 1 to 100 years, the discount rate 0 to 0.2")

    @property
    def weights(self) -> Floats:
        """(H,) what money of each year is worth today."""
        return np.asarray((1.0 + self.discount) ** -np.arange(self.years), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Failures (n, H) to be expected of n pipes in each year, left as they are and renewed in year 0."""

    left: Floats
    renewed: Floats
    failure_cost: Floats

    def gains(self, years: int, horizon: Horizon) -> Floats:
        """Money (n, years) gained by renewing at the begin of each of the first ``years`` years."""
        weights = horizon.weights
        tails = np.cumsum((self.left * weights)[:, ::-1], axis=1)[:, ::-1]
        heads = np.cumsum(self.renewed * weights, axis=1)
        gains = np.zeros((len(self.left), years))
        for year in range(min(years, horizon.years)):
            gains[:, year] = tails[:, year] - weights[year] * heads[:, horizon.years - 1 - year]
        return gains * self.failure_cost[:, None]

    def loss(self, renewal_year: Floats) -> Floats:
        """Money (H,) that failures cost the city in each year, undiscounted; ``renewal_year`` (n,) is NaN for never."""
        failures = self.failures(renewal_year)
        return np.asarray(failures.T @ self.failure_cost, dtype=np.float64)

    def failures(self, renewal_year: Floats) -> Floats:
        """Failures (n, H) with each pipe renewed at the begin of its year."""
        found = self.left.copy()
        for year in np.unique(renewal_year[~np.isnan(renewal_year)]).astype(int):
            here = renewal_year == year
            found[here, year:] = self.renewed[here, : found.shape[1] - year]
        return found


def outlook(segments: Segments, costs: Costs, horizon: Horizon, classes: Deterioration | None = None) -> Outlook:
    """What is to be expected of each pipe, left and renewed; ``classes`` is the calibrated catalogue, else the shipped.

    A pipe's rate now may come from more than the inventory (breaks on record, breaks nearby): it sets the level, and
    its class how that grows with age. A new pipe has no history.
    """
    classes = classes or shipped_deterioration()
    fresh = as_new(segments, costs)
    factor = segments.rate / np.maximum(likelihood_of(segments.inventory, classes).rate, 1e-12)
    left = _failures(segments.inventory, horizon.years, classes) * factor[:, None]
    return Outlook(left, _failures(fresh, horizon.years, classes), costs.of_failure(segments.cof))


def as_new(segments: Segments, costs: Costs) -> risk.Inventory:
    """The pipes as they are on the day on which they have been renewed."""
    materials = [costs.new_material(network) for network in segments.network]
    unknown = np.full(len(segments), np.nan)
    return replace(segments.inventory, material=materials, age_years=np.zeros(len(segments)), condition=unknown)


def _failures(inventory: risk.Inventory, years: int, classes: Deterioration) -> Floats:
    """(n, years) failures in each of the coming years, by the class's own growth with age."""
    chosen, age = classes.class_of(inventory.material), ages(inventory, classes)
    grown = np.stack([cumulative(classes, chosen, age + year) for year in range(years + 1)], axis=1)
    by_year = np.diff(grown, axis=1)
    first = expected_failures(inventory, 1.0, classes=classes)
    return np.asarray(by_year / np.maximum(by_year[:, :1], 1e-12) * first[:, None], dtype=np.float64)
