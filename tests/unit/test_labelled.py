"""CSV adapter, scores, and the generic detectors over labelled tables."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import labelled, scoring, tables

DATA = Path(__file__).parents[3] / "shared" / "data"
CSV = "when;a;b;odd;bad\n01/02/26 00;1.5; 2;x;0\n01/02/26 02;-999;4;x;1\n01/02/26 01;3;nan;x;1\n01/02/26 01;3;6;x;1\n"
MAPPING = """
delimiter = ";"
missing = ["-999"]
ignore = ["odd"]
learn_rows = 2
[time]
column = "when"
format = "%d/%m/%y %H"
utc_offset_h = 8
[label]
column = "bad"
[files]
judge = ["*.csv"]
[sensor.b]
factor = 10.0
offset = 1.0
resolution = 0.5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.csv").write_text(CSV)
    (tmp_path / "map.toml").write_text(MAPPING)
    return tmp_path


def test_a_file_is_read_by_its_mapping_in_order_and_without_code(folder):
    table = tables.read_table(folder / "one.csv", tables.read_mapping(folder / "map.toml"))
    assert table.sensors == ("a", "b")
    assert table.times.tolist() == [1_769_875_200.0, 1_769_878_800.0, 1_769_882_400.0]
    np.testing.assert_array_equal(table.values, [[1.5, 21], [3, 61], [np.nan, 41]])
    assert table.labels.tolist() == [False, True, True]
    assert table.resolution.tolist() == [1.5, 0.5]


def test_the_first_rows_are_the_clean_period_where_no_file_is_named(folder):
    (run,) = tables.runs(tables.read_mapping(folder / "map.toml"))
    assert len(run.clean.times) == 2
    assert len(run.judged.times) == 3


def test_learn_files_are_put_together_by_the_names_of_their_columns(folder):
    (folder / "two.txt").write_text("when;b;a\n01/01/26 00;1;2\n")
    (folder / "three.txt").write_text("when;a;b\n01/01/25 00;3;4\n")
    (folder / "map.toml").write_text(MAPPING.replace("[files]", '[files]\nlearn = ["*.txt"]'))
    (run,) = tables.runs(tables.read_mapping(folder / "map.toml"))
    assert run.clean.values.tolist() == [[3, 41], [2, 11]]
    (folder / "four.txt").write_text("when;a;c\n01/01/24 00;3;4\n")
    with pytest.raises(tables.TableError, match=r"\['b', 'c'\]"):
        list(tables.runs(tables.read_mapping(folder / "map.toml")))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("time;a\n1;2\n", "no column 'when'"),
        ("when;a\n01/02/26 00;much\n", "line 2, column 'a': 'much' is no number"),
        ("when;a\n01/02/26 00;1;2\n", "line 2: 3 columns, the header has 2"),
        ("when;a\nyesterday;1\n", "line 2: .*yesterday"),
    ],
)
def test_a_bad_file_says_where_and_why(folder, text, told):
    (folder / "one.csv").write_text(text)
    with pytest.raises(tables.TableError, match=told):
        tables.read_table(folder / "one.csv", tables.read_mapping(folder / "map.toml"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[label]\n", "'time' is missing"),
        ("[time\n", "map.toml"),
        ('colour = 1\n[time]\ncolumn = "t"\n', "unknown entries"),
        ('[time]\ncolumn = "t"\n[sensor.a]\nunit = "m"\n', "unit"),
    ],
)
def test_a_bad_mapping_says_why(folder, text, told):
    (folder / "map.toml").write_text(text)
    with pytest.raises(tables.TableError, match=told):
        tables.read_mapping(folder / "map.toml")


def test_no_file_and_no_clean_period_are_told(folder):
    (folder / "map.toml").write_text(MAPPING.replace("*.csv", "*.tsv"))
    with pytest.raises(tables.TableError, match="no file matches"):
        list(tables.runs(tables.read_mapping(folder / "map.toml")))
    (folder / "map.toml").write_text(MAPPING.replace("learn_rows = 2", ""))
    with pytest.raises(tables.TableError, match="no clean period"):
        list(tables.runs(tables.read_mapping(folder / "map.toml")))


def test_epoch_and_iso_times_are_read_with_their_own_offset(folder):
    epoch = tables.Mapping(folder, "t", "epoch", 3600.0)
    (folder / "e.csv").write_text("t,a\n100,1\n")
    assert tables.read_table(folder / "e.csv", epoch).times.tolist() == [100]
    iso = tables.Mapping(folder, "t", "iso", 8 * 3600.0)
    (folder / "i.csv").write_text("t,a\n1970-01-02T00:00:00Z,1\n1970-01-02 08:00:01,2\n")
    assert tables.read_table(folder / "i.csv", iso).times.tolist() == [86400, 86401]


flags = st.lists(st.booleans(), min_size=1, max_size=40).map(lambda values: np.array(values, dtype=bool))


@given(flags)
def test_a_perfect_alarm_scores_one(truth):
    scores = scoring.score(truth, truth)
    assert scores.false_episodes == 0
    assert scores.events == scores.events_found == len(scoring.spans(truth))
    if truth.any():
        assert scores.f1 == 1
    if truth.any() and not truth.all():
        assert scoring.batadal(truth, truth) == (1, 1, 1, 1, 1)


@given(flags)
def test_spans_put_together_give_the_flags_back(truth):
    again = np.zeros_like(truth)
    for first, last in scoring.spans(truth):
        assert truth[first:last].all()
        again[first:last] = True
    np.testing.assert_array_equal(again, truth)


def test_the_batadal_score_is_as_the_paper_defines_it():
    truth = np.array([0, 1, 1, 1, 1, 0, 0, 1, 1, 0], dtype=bool)
    alarm = np.array([1, 0, 1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    found = scoring.batadal(truth, alarm)
    assert found.s_ttd == pytest.approx(1 - (0.25 + 1) / 2)
    assert found.s_cm == pytest.approx((3 / 6 + 3 / 4) / 2)
    assert found.s == pytest.approx((found.s_ttd + found.s_cm) / 2)
    with pytest.raises(ValueError, match="no attack"):
        scoring.batadal(np.zeros(3, bool), np.zeros(3, bool))


def run(shift: float, start: float = 0.0) -> tables.Run:
    rng = np.random.default_rng(1)
    base = rng.normal(size=(1600, 1))
    values = base * np.array([1.0, 2.0, -1.0]) + 0.1 * rng.normal(size=(1600, 3))
    values[1200:1400, 0] += shift
    values[600:] += start
    times = 1.7e9 + np.arange(1600.0)
    table = tables.Table("t", ("a", "b", "c"), times, values, np.zeros(1600, bool), np.zeros(3))
    return tables.Run(table.rows(0, 600), table.rows(600))


def test_an_event_is_one_episode_at_its_sensor():
    verdict = labelled.judge(run(1.0))
    assert not verdict.relearned
    ((first, last),) = scoring.spans(verdict.alarm[:, 0])
    assert 600 <= first <= 605
    assert 795 <= last <= 840


def test_another_operating_point_is_learned_anew_and_said():
    verdict = labelled.judge(run(1.0, start=100.0))
    assert verdict.relearned
    assert verdict.any[:590].mean() < 0.05
    assert verdict.any[610:790].all()


def test_a_sensor_that_never_moved_does_not_decide_the_operating_point():
    one = run(0.0)
    one.clean.values[:, 1] = 5.0
    assert not labelled.judge(one).relearned


def test_a_plain_z_of_constant_sensors_is_zero():
    one = run(0.0)
    one.clean.values[:] = 1.0
    assert not labelled.plain_z(one).any()


@pytest.mark.skipif(not DATA.is_dir(), reason=f"public data set missing: {DATA}")
@pytest.mark.parametrize(
    ("name", "mapping", "score", "target"),
    [
        ("batadal", {"time": "DATETIME", "time_format": "%d/%m/%y %H", "label": "ATT_FLAG",
                     "learn": ("dataset03.csv",), "judge": ("dataset04.csv",)}, "s", 0.86),
        ("skab", {"time": "datetime", "delimiter": ";", "ignore": frozenset({"changepoint"}), "label": "anomaly",
                  "anomalous": frozenset({"1.0"}), "judge": ("valve2/*.csv",), "learn_rows": 400}, "f1", 0.78),
    ],
)  # fmt: skip
def test_the_same_defaults_reach_the_known_figures_on_public_data(name, mapping, score, target):
    found = labelled.compare(tables.Mapping(DATA / name, **mapping))
    reached = (scoring.batadal if score == "s" else scoring.score)(found.truth, found.alarm)
    assert getattr(reached, score) >= target
    assert getattr(reached, score) > labelled.best_plain(found, score)[0]


def test_the_command_prints_the_scores_of_a_mapping(folder, capsys):
    rng = np.random.default_rng(2)
    rows = [f"01/02/26 {hour:02d},{rng.normal():.3f},{int(hour >= 20)}" for hour in range(24)]
    (folder / "one.csv").write_text("when,a,bad\n" + "\n".join(rows) + "\n")
    (folder / "map.toml").write_text(MAPPING.replace('delimiter = ";"', "").replace("[sensor.b]", "[sensor.a]"))
    assert labelled.main([str(folder / "map.toml")]) == 0
    assert "1 files, 0 of 1 events" in capsys.readouterr().out
