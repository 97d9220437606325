"""Baselines: learned from clean history only, versioned by content, and the same after storage."""

import numpy as np
import pytest

from alerts import baseline
from alerts.baseline import Marked
from alerts.detectors import residual, seasonal

START = 1_767_571_200.0
IDS = np.array([11, 12, 13], dtype=np.int64)
RESOLUTION = np.full(3, 0.01)


def history(days: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    times = START + 900.0 * np.arange(days * 96)
    wave = 10 + np.sin(2 * np.pi * times / 86400) + 0.3 * rng.normal(size=len(times))
    return np.stack([wave, 2 * wave, wave], axis=1) + 0.05 * rng.normal(size=(len(times), 3)), times


def learned(values: np.ndarray, times: np.ndarray, marked: tuple[Marked, ...] = ()) -> baseline.Baseline:
    return baseline.learn(IDS, values, times, RESOLUTION, [np.array([0, 1, 2])], marked, now=times[-1] + 60)


def test_a_marked_period_teaches_nothing():
    values, times = history(14)
    sick = values.copy()
    sick[300:700] += 50
    whole = Marked(times[300], times[699])
    marked, clean = learned(sick, times, (whole,)), learned(values, times, (whole,))
    assert marked.version == clean.version
    assert learned(sick, times).version != clean.version


def test_a_mark_on_one_sensor_leaves_the_others():
    values, times = history(2)
    kept = baseline.without(values, times, [Marked(times[0], times[9], column=1)])
    assert np.isnan(kept[:10, 1]).all()
    assert np.isfinite(kept[:, [0, 2]]).all()
    assert np.isfinite(values).all()


def test_the_same_history_gives_the_same_version_and_another_gives_another():
    values, times = history(8)
    assert learned(values, times).version == learned(values, times).version
    assert learned(*history(8, seed=2)).version != learned(values, times).version


def test_a_sensor_without_enough_history_says_so():
    values, times = history(10)
    values[: 8 * 96, 1] = np.nan
    found = learned(values, times)
    assert found.ready.tolist() == [True, False, True]
    assert found.days.tolist() == [10, 2, 10]


def test_what_is_stored_judges_as_what_was_learned():
    values, times = history(14)
    before = learned(values, times)
    after = baseline.load(baseline.dump(before))
    assert (after.version, after.learned_at, after.first, after.last) == (
        before.version, before.learned_at, before.first, before.last,
    )  # fmt: skip
    np.testing.assert_array_equal(after.sensor_ids, IDS)
    fresh, later = history(2, seed=3)
    np.testing.assert_array_equal(
        seasonal.z_scores(after.seasonal, fresh, later), seasonal.z_scores(before.seasonal, fresh, later)
    )
    (columns, model), (_, old) = after.groups[0], before.groups[0]
    np.testing.assert_array_equal(
        residual.judge(model, fresh[:, columns], later).score, residual.judge(old, fresh[:, columns], later).score
    )


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_bytes_that_are_no_baseline_are_refused(content):
    with pytest.raises(ValueError, match="not a baseline"):
        baseline.load(content)


def test_an_empty_history_is_a_baseline_that_knows_nothing():
    found = baseline.learn(IDS, np.empty((0, 3)), np.empty(0), RESOLUTION, [np.array([0, 1])], (), now=START)
    assert not found.ready.any()
    assert not found.groups[0][1].known.any()
    assert baseline.load(baseline.dump(found)).version == found.version
