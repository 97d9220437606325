"""The generic detectors over a labelled table, with the very defaults of the product, beside a plain robust z.

`python -m alerts.labelled MAPPING.toml ...` prints the scores of each mapping (alerts/tables.py).
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts import scoring, tables
from alerts.detectors import charts, residual, robust

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SETTLE_ROWS = 4 * residual.MIN_ROWS
"""Rows from which a model is learned anew where the clean period was another operating point."""
FOREIGN_SHARE = 0.5
"""More than this share of the sensors far off from the first row on is another operating point (default)."""
PLAIN_LIMITS = (4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0)


class Verdict(NamedTuple):
    """Alarm per (time, sensor), the score behind it, and whether the model had to be learned anew."""

    alarm: Bools
    score: Floats
    relearned: bool

    @property
    def any(self) -> Bools:
        """Alarm of the whole table, (time,)."""
        return np.asarray(self.alarm.any(axis=1))


def judge(run: tables.Run) -> Verdict:
    """Multi-sensor residual with its two charts, each alarm one episode.

    Where the model does not fit the first rows of what is judged (another operating point), alarming on everything
    would say nothing: it is learned anew from those rows, and that is said.
    """
    clean, judged = run.clean, run.judged
    model = residual.learn(clean.values, clean.times, clean.resolution)
    score = residual.judge(model, judged.values, judged.times).score
    foreign = _foreign(score[:SETTLE_ROWS])
    if foreign:
        first = judged.rows(0, SETTLE_ROWS)
        model = residual.learn(first.values, first.times, first.resolution)
        score = residual.judge(model, judged.values, judged.times).score
    return Verdict(charts.episodes(score), score, foreign)


def _foreign(score: Floats) -> bool:
    """Whether more than half the sensors exceed their limit in most of the first rows."""
    known = ~np.isnan(score).all(axis=0)
    off = robust.median(score[:, known]) > 1
    return bool(len(score) and known.any() and off.mean() > FOREIGN_SHARE)


def plain_z(run: tables.Run) -> Floats:
    """The largest |z| over the sensors, (time,): median and MAD of the clean period, floored by the resolution."""
    middle, sigma, _ = robust.spread(run.clean.values, run.clean.resolution)
    usable = sigma > 0
    if not usable.any():
        return np.zeros(len(run.judged.times))
    z = np.abs((run.judged.values[:, usable] - middle[usable]) / sigma[usable])
    largest: Floats = np.fmax.reduce(z, axis=1, initial=0.0)
    return largest


def median_of(series: Floats, rows: int) -> Floats:
    """Trailing median of (time,)."""
    padded = np.concatenate([np.full(rows - 1, series[0]), series])
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, rows), axis=1))


class Comparison(NamedTuple):
    """The product's alarm and the plain z's best, over all files of a mapping put together."""

    truth: Bools
    alarm: Bools
    plain: Floats
    relearned: int
    files: int


def compare(mapping: tables.Mapping) -> Comparison:
    """Judge every file of a mapping. Raises TableError when a file has no labels, or none of them says anomalous."""
    truth, alarm, plain, relearned = [], [], [], 0
    for run in tables.runs(mapping):
        if run.judged.labels is None:
            raise tables.TableError(f"{run.judged.name}: no column {mapping.label!r} with labels")
        verdict = judge(run)
        truth.append(run.judged.labels)
        alarm.append(verdict.any)
        plain.append(plain_z(run))
        relearned += verdict.relearned
    if not np.concatenate(truth).any():
        raise tables.TableError(f"{mapping.folder}: {mapping.label!r} says of no row that it is anomalous")
    return Comparison(np.concatenate(truth), np.concatenate(alarm), np.concatenate(plain), relearned, len(truth))


def best_plain(found: Comparison, by: str) -> tuple[float, str]:
    """The best of a plain z, its limit and smoothing chosen with the truth in sight: more than it reaches in use.

    `by` is "f1" or "s" (BATADAL).
    """
    results = []
    for rows in (1, 15):
        smooth = median_of(found.plain, rows)
        for limit in PLAIN_LIMITS:
            alarm = smooth > limit
            value = scoring.score(found.truth, alarm).f1 if by == "f1" else scoring.batadal(found.truth, alarm).s
            results.append((value, f"limit {limit:g}, median of {rows}"))
    return max(results)


def main(paths: Sequence[str]) -> int:
    """Print the scores of each mapping file; 2, and on standard error why, when one cannot be read."""
    for path in paths:
        try:
            found = compare(tables.read_mapping(Path(path)))
        except tables.TableError as error:
            sys.stderr.write(f"{error}\n")
            return 2
        scores, s = scoring.score(found.truth, found.alarm), scoring.batadal(found.truth, found.alarm)
        plain_f1, plain_s = best_plain(found, "f1"), best_plain(found, "s")
        sys.stdout.write(
            f"{path}: {found.files} files, {scores.events_found} of {scores.events} events, "
            f"{scores.false_episodes} false episodes\n"
            f"  F1 {scores.f1:.3f} (precision {scores.precision:.3f}, recall {scores.recall:.3f}); "
            f"plain z at its best {plain_f1[0]:.3f} ({plain_f1[1]})\n"
            f"  S {s.s:.3f} (TTD {s.s_ttd:.3f}, TPR {s.true_positive_rate:.3f}, TNR {s.true_negative_rate:.3f}); "
            f"plain z at its best {plain_s[0]:.3f} ({plain_s[1]})\n"
            f"  learned anew for another operating point: {found.relearned}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
