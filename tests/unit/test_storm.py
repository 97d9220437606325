"""Design storms and ponding: mass is kept, worse storms pond more, SWMM and the reckoning agree on who is drowned."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.errors import ConfigurationError, LifelineError
from lifeline.planning.flood import Mended, in_swmm
from lifeline.planning.storm import STEP_MIN, by_reckoning, capacity, hyetograph, pumps_of, without_pumps
from lifeline.planning.stress import tables

FORMULA = tables()["storm"]

SWMM = """[OPTIONS]
FLOW_UNITS CMS
INFILTRATION HORTON
FLOW_ROUTING DYNWAVE
START_DATE 01/01/2024
START_TIME 00:00:00
REPORT_START_DATE 01/01/2024
REPORT_START_TIME 00:00:00
END_DATE 01/01/2024
END_TIME 10:00:00
REPORT_STEP 00:05:00
WET_STEP 00:01:00
DRY_STEP 00:05:00
ROUTING_STEP 5
[RAINGAGES]
G INTENSITY 0:05 1.0 TIMESERIES T
[SUBCATCHMENTS]
S1 G J1 4 65 200 0.5 0
[SUBAREAS]
S1 0.01 0.1 0.05 0.05 25 OUTLET
[INFILTRATION]
S1 50 10 4 7 0
[JUNCTIONS]
J1 10 2 0 0 0
J2 9.7 2 0 0 0
[OUTFALLS]
O 9.4 FREE NO
[CONDUITS]
C1 J1 J2 100 0.013 0 0 0 0
C2 J2 O 100 0.013 0 0 0 0
[XSECTIONS]
C1 CIRCULAR 0.3 0 0 0 1
C2 CIRCULAR 0.3 0 0 0 1
[TIMESERIES]
T 01/01/2024 00:00 0
T 01/01/2024 10:00 0
[REPORT]
NODES ALL
"""


@given(st.floats(1.5, 200))
def test_the_storm_holds_what_its_formula_says_for_its_duration(years):
    rain = hyetograph(years, FORMULA)
    a, b, n, minutes = (FORMULA[key] for key in ("a", "b", "n", "minutes"))
    depth = a * (1 + FORMULA["c"] * np.log10(years)) * minutes / (minutes + b) ** n
    assert rain.sum() * STEP_MIN / 60 == pytest.approx(depth)
    assert np.all(rain > 0)
    assert abs((rain.argmax() + 0.5) * STEP_MIN - FORMULA["peak_at"] * minutes) <= STEP_MIN


@given(st.floats(1.5, 100), st.floats(1.01, 3))
def test_a_rarer_storm_rains_harder_at_every_moment(years, more):
    assert np.all(hyetograph(years * more, FORMULA) > hyetograph(years, FORMULA))


def test_a_formula_that_gives_no_rain_is_refused():
    with pytest.raises(ConfigurationError, match="no rain"):
        hyetograph(20, {**FORMULA, "a": -1.0})


def test_a_full_pipe_passes_what_manning_says():
    assert capacity(np.array([1000.0]), np.array([0.01]), 0.013)[0] == pytest.approx(2.397, rel=1e-3)


def chain(mm: float, rain: np.ndarray, area: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Hours and volumes of: catchment on manhole 0, pipe 1, manhole 2, pipe 3, outfall 4."""
    passes = capacity(np.array([mm]), np.array([0.003]), 0.013)[0]
    found = by_reckoning(
        list("abcde"), np.arange(4), np.arange(1, 5), np.array([area, 0, 0, 0, 0]),
        np.array([np.inf, passes, np.inf, passes, np.inf]), rain, 0.65,
    )  # fmt: skip
    return found.hours, found.cubic_metres


def test_water_stands_before_the_narrow_pipe_and_nowhere_else():
    hours, volume = chain(300, hyetograph(50, FORMULA))
    assert hours[1] > 0.5
    assert volume[1] > 100
    assert hours[[0, 2, 3, 4]].tolist() == [0, 0, 0, 0]
    assert chain(3000, hyetograph(50, FORMULA))[0].sum() == 0


@given(st.floats(2, 100), st.floats(1, 3), st.sampled_from([200, 300, 500, 800]))
def test_a_rarer_storm_never_ponds_less_and_a_wider_pipe_never_more(years, more, mm):
    hours, volume = chain(mm, hyetograph(years, FORMULA))
    worse = chain(mm, hyetograph(years * more, FORMULA))
    wider = chain(mm * 1.3, hyetograph(years, FORMULA))
    assert worse[0].sum() >= hours.sum() - 1e-9
    assert worse[1].sum() >= volume.sum() - 1e-9
    assert wider[1].sum() <= volume.sum() + 1e-9


def test_what_came_out_is_no_more_than_what_fell():
    rain = hyetograph(100, FORMULA)
    fallen = rain.sum() * STEP_MIN / 60 / 1000 * 4 * 10_000 * 0.65
    assert chain(200, rain)[1].sum() < fallen


def test_swmm_ponds_where_the_reckoning_says_and_more_in_a_rarer_storm():
    usual, rare = (in_swmm(SWMM, hyetograph(years, FORMULA)) for years in (5, 100))
    at = rare.names.index("J1")
    assert rare.hours[at] > 0.3
    assert rare.cubic_metres.sum() > usual.cubic_metres.sum()
    reckoned = chain(300, hyetograph(100, FORMULA))[1].sum()
    assert 0.3 < rare.cubic_metres.sum() / reckoned < 3


def test_swmm_stays_dry_without_rain():
    assert in_swmm(SWMM, np.zeros(12)).cubic_metres.sum() == 0


def test_a_model_that_swmm_refuses_is_told():
    with pytest.raises(LifelineError, match="SWMM refuses the model"):
        in_swmm("[JUNCTIONS]\nnonsense here\n", np.ones(3))


PUMPED = (
    SWMM.replace("C2 J2 O", "C2 J3 O")
    .replace("C2 CIRCULAR 0.3", "C2 CIRCULAR 1.5")
    .replace("J2 9.7 2 0 0 0\n", "J3 12 2 0 0 0\n")
    .replace("[OUTFALLS]", "[STORAGE]\nJ2 7 4 0 FUNCTIONAL 0 0 20\n[OUTFALLS]")
    .replace("O 9.4", "O 11.5")
    .replace("C1 CIRCULAR 0.3", "C1 CIRCULAR 1.0")
    .replace(
        "[TIMESERIES]",
        """[PUMPS]
;; two of the station and one elsewhere
P1 J2 J3 PC ON 0 0 ; the first
P2 J2 J3 PC OFF 1.0 0.3
P3 J1 J3 PC OFF 0 0
[CURVES]
PC Pump2 0 0.4
PC 4 0.8
[CONTROLS]
RULE R1
IF NODE J2 DEPTH > 0.5
THEN PUMP P1 STATUS = ON
[TIMESERIES]""",
    )
)
"""A catchment on J1, a wet well J2, and two pumps over the hill to O: one is told by a rule, one by its depths."""


def test_the_pumps_of_a_station_are_those_that_draw_from_it_and_a_pump_is_itself():
    assert pumps_of(PUMPED, "J2") == {"P1", "P2"}
    assert pumps_of(PUMPED, "P3") == {"P3"}
    assert pumps_of(PUMPED, "O") == pumps_of(PUMPED, "C1") == pumps_of(SWMM, "J2") == set()


def test_a_lost_station_ponds_where_it_stood_dry_whatever_its_rules_and_depths_say():
    rain = hyetograph(20, FORMULA)
    whole, lost = in_swmm(PUMPED, rain), in_swmm(without_pumps(PUMPED, {"P1", "P2"}), rain)
    well = whole.names.index("J2")
    assert whole.hours[well] == 0
    assert lost.hours[well] > 1
    runoff_m3 = rain.sum() * STEP_MIN / 60 / 1000 * 40_000
    assert 0.3 * runoff_m3 < lost.cubic_metres.sum() < runoff_m3  # nowhere else to go


def test_half_a_station_ponds_less_than_none():
    rain = hyetograph(100, FORMULA)
    ponded = [in_swmm(without_pumps(PUMPED, out), rain).cubic_metres.sum() for out in ((), ("P2",), ("P1", "P2"))]
    assert ponded[0] <= ponded[1] < ponded[2]


def test_a_model_without_losses_is_the_model():
    rain = hyetograph(20, FORMULA)
    one, other = in_swmm(PUMPED, rain), in_swmm(without_pumps(PUMPED, ()), rain)
    np.testing.assert_array_equal(one.cubic_metres, other.cubic_metres)


def test_a_pump_that_the_model_lacks_is_told():
    with pytest.raises(ConfigurationError, match="no pump P8, P9"):
        without_pumps(PUMPED, {"P1", "P9", "P8"})


def test_a_storm_is_followed_until_the_last_water_is_gone():
    rain = hyetograph(100, FORMULA)
    found = in_swmm(SWMM, rain)
    assert found.left == 0
    assert found.dry_after > len(rain) * STEP_MIN / 60  # it stands longer than it rains
    assert found.hours.max() <= found.dry_after
    cut = in_swmm(SWMM, rain, most_hours=1.5)
    assert cut.left > 0
    assert cut.dry_after == pytest.approx(len(rain) * STEP_MIN / 60)


def test_the_reckoning_ends_when_it_is_dry_and_says_what_is_left_when_it_may_not_go_on():
    rain, passes = hyetograph(100, FORMULA), capacity(np.array([200.0]), np.array([0.001]), 0.013)[0]

    def reckoned(most_hours):
        capacities = np.array([np.inf, passes, np.inf])
        return by_reckoning(
            list("abc"), np.arange(2), np.arange(1, 3), np.array([4.0, 0, 0]), capacities, rain, 0.65, most_hours
        )

    whole, cut = reckoned(200.0), reckoned(3.0)
    assert whole.left == 0
    assert whole.dry_after == pytest.approx(whole.cubic_metres.max() / passes / 3600, rel=0.35)
    assert whole.dry_after > 12
    assert (cut.left, cut.dry_after) == (1, 3.0)


def test_a_station_that_is_mended_drains_what_stood_and_the_sooner_the_better():
    well = PUMPED.replace("[STORAGE]\nJ2 7 4 0 FUNCTIONAL 0 0 20\n", "").replace("J3 12", "J2 7 4 0 0 0\nJ3 12")
    rain, lost = hyetograph(20, FORMULA), without_pumps(well, {"P1", "P2"})
    soon, late = (in_swmm(lost, rain, mended=Mended(well, hour)) for hour in (3.0, 12.0))
    for found, hour in ((soon, 3.0), (late, 12.0)):
        assert found.left == 0
        assert found.dry_after > hour
    assert late.hours.max() > soon.hours.max() + 8
    never = in_swmm(lost, rain, mended=Mended(well, 30.0), most_hours=24)
    assert never.left > 0
    assert never.dry_after == pytest.approx(24, abs=0.1)


def test_what_stands_is_told_as_it_is_computed():
    told = []
    in_swmm(SWMM, hyetograph(50, FORMULA), progress=lambda share, what: told.append((share, what)))
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert {what for _, what in told} == {"water stands", "no water stands"}
