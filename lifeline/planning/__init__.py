"""Long computations: renewal plans, criticality, stress tests. ``python -m lifeline.planning`` works them as jobs.

What needs a solver, an engine or a plotting library (extra ``planning``) imports it inside the function that uses it,
so that the API can ask the registry what there is without any of them.
"""

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""How far a computation is, 0 to 1, and what it is at, for whoever waits."""
