"""Live evidence: what an alert adds, how it fades, and that more of it never lowers a score."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline import risk
from lifeline.model import Level
from lifeline.risk import evidence
from lifeline.risk.evidence import Evidence, Kind
from lifeline.risk.scheme import load_scheme, shipped_scheme

LOF, COF = np.array([1.0, 1.5, 2.5, 4.0, 5.0]), np.array([1.0, 2.0, 3.0, 4.0, 5.0])
CUTS = shipped_scheme().lowest
STRENGTH = st.floats(0, 1)
PIECES = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(list(Kind)), STRENGTH), max_size=12)
WORST = st.dictionaries(st.integers(0, 4), st.sampled_from(list(Level)), max_size=5)


def scores(pieces: list[tuple[int, Kind, float]], worst: dict[int, Level] | None = None) -> np.ndarray:
    """Score of each of the five assets."""
    found = raised(pieces, worst)
    told = risk.score(LOF, COF)
    told[found.asset] = found.score
    return told


def raised(pieces: list[tuple[int, Kind, float]], worst: dict[int, Level] | None = None) -> evidence.Raised:
    # A floor stands on an own alert, which is evidence too.
    own = [(at, Kind.OWN, risk.ALERT_LIKELIHOOD[level]) for at, level in (worst or {}).items()]
    return evidence.raise_scores(LOF, COF, evidence.gather(iter([*pieces, *own])), worst or {}, CUTS)


@given(PIECES, st.tuples(st.integers(0, 4), st.sampled_from(list(Kind)), STRENGTH), WORST)
def test_a_piece_of_evidence_more_never_lowers_a_score(pieces, more, worst):
    assert (scores([*pieces, more], worst) >= scores(pieces, worst) - 1e-9).all()


@given(PIECES, WORST, st.data())
def test_evidence_that_weakens_never_raises_a_score(pieces, worst, data):
    weaker = [(at, kind, strength * data.draw(STRENGTH)) for at, kind, strength in pieces]
    assert (scores(weaker, worst) <= scores(pieces, worst) + 1e-9).all()


@given(PIECES, WORST, st.randoms())
def test_the_order_of_arrival_does_not_matter_to_the_last_bit(pieces, worst, random):
    shuffled = list(pieces)
    random.shuffle(shuffled)
    assert scores(shuffled, worst).tolist() == scores(pieces, worst).tolist()


@given(PIECES, WORST)
def test_the_points_add_up_to_what_the_score_gained(pieces, worst):
    found = raised(pieces, worst)
    standing = risk.score(LOF, COF)[found.asset]
    np.testing.assert_allclose(found.points.sum(axis=1), found.score - standing, atol=1e-9)
    assert (found.points >= -1e-9).all()
    assert (found.score <= 100 + 1e-9).all()
    assert ((found.likelihood >= 0) & (found.likelihood <= 1)).all()


@given(WORST)
def test_no_asset_stands_below_the_cut_of_its_own_open_alert(worst):
    told = scores([], worst)
    for at, level in worst.items():
        assert told[at] >= CUTS[level]


def test_a_piece_of_each_kind_has_its_points_in_its_own_column():
    for kind in Kind:
        found = raised([(2, kind, 0.5)])
        assert np.flatnonzero(found.points[0]).tolist() == [kind]


def test_no_evidence_raises_nothing():
    assert len(raised([]).asset) == 0


def test_an_alert_fades_by_a_third_in_an_hour_and_not_before_it_returned():
    returned = np.array([np.nan, 0.0, -3600.0, -7200.0, 3600.0])
    told = evidence.decay(0.0, returned, 3600.0)
    assert told.tolist() == pytest.approx([1.0, 1.0, np.exp(-1), np.exp(-2), 1.0])


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.floats(1, 1e5))
def test_fading_never_turns_back(age, more, tau):
    early, late = (evidence.decay(1e9 + after, np.array([1e9]), tau)[0] for after in (age, age + more))
    assert 0 <= late <= early <= 1


def test_fading_goes_by_steps_so_that_two_processes_agree():
    returned = np.array([120.0])
    assert evidence.decay(241.0, returned, 3600.0) == evidence.decay(299.9, returned, 3600.0)
    assert evidence.decay(300.0, returned, 3600.0) < evidence.decay(299.9, returned, 3600.0)


def test_an_alert_is_asked_for_until_it_is_forgotten():
    tau = 3600.0
    last = evidence.forgotten_after_s(tau)
    assert evidence.decay(last, np.array([0.0]), tau)[0] <= evidence.WEAKEST


def test_an_incident_of_one_alert_adds_nothing_and_of_many_half_of_the_worst():
    assert evidence.corroboration(np.array([0.95])) == 0
    assert evidence.corroboration(np.array([0.95, 0.2])) == pytest.approx(0.95 / 4)
    assert evidence.corroboration(np.full(1000, 0.95)) == pytest.approx(0.95 / 2, rel=0.01)
    assert evidence.corroboration(np.array([])) == 0


@given(st.lists(STRENGTH, min_size=1, max_size=8), STRENGTH)
def test_an_alert_more_never_weakens_an_incident(strengths, more):
    before, after = evidence.corroboration(np.array(strengths)), evidence.corroboration(np.array([*strengths, more]))
    assert after >= before


@given(st.lists(STRENGTH, max_size=8))
def test_one_of_several_is_at_least_as_likely_as_the_likeliest(strengths):
    told = evidence.chance(np.array(strengths))
    assert max(strengths, default=0.0) - 1e-9 <= told <= 1.0


def test_the_cuts_of_the_four_colours_can_be_set():
    scheme = load_scheme([60.0, 40.0, 10.0], 100.0, None)
    assert scheme.levels(np.array([0.0, 9.9, 10.0, 39.9, 40.0, 59.9, 60.0])).tolist() == [4, 4, 3, 3, 2, 2, 1]
    assert scheme.lowest.tolist() == [0.0, 60.0, 40.0, 10.0, 0.0]
    assert shipped_scheme().levels(np.array([74.9, 75.0])).tolist() == [2, 1]


def test_arrays_of_evidence_have_its_pieces_in_order():
    told = evidence.gather(iter([(3, Kind.JOINED, 0.5), (1, Kind.OWN, 0.25)]))
    assert isinstance(told, Evidence)
    assert (told.asset.tolist(), told.kind.tolist(), told.strength.tolist()) == ([3, 1], [2, 0], [0.5, 0.25])
