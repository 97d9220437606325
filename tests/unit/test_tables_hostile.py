"""Mappings, tables, scores and stored baselines that are wrong: refused with a reason, or counted for what they are."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts import baseline, labelled, scoring, tables
from alerts.baseline import Marked

PLAIN = '[time]\ncolumn = "t"\nformat = "epoch"\n'


def mapping(folder: Path, text: str = PLAIN) -> tables.Mapping:
    (folder / "map.toml").write_text(text, encoding="utf-8")
    return tables.read_mapping(folder / "map.toml")


def table(folder: Path, content: str | bytes, text: str = PLAIN) -> tables.Table:
    file = folder / "one.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return tables.read_table(file, mapping(folder, text))


# --------------------------------------------------------------------------------------------------------- mappings


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("learn_rows = -5", "learn_rows must be 0 or more"),
        ('learn_rows = "many"', "many"),
        ('delimiter = ";;"', "delimiter ';;' is not one character"),
        ('delimiter = ""', "delimiter '' is not one character"),
        ("delimiter = 7", "delimiter 7 is not one character"),
        ('delimiter = "\\n"', "not one character"),
        ('missing = "-999"', "missing must be a list, not '-999'"),
        ('ignore = "note"', "ignore must be a list, not 'note'"),
        ('files = { judge = "*.csv" }', r"judge must be a list, not '\*.csv'"),
        ('files = { learn = "a.csv" }', "learn must be a list"),
        ('label = { column = "l", anomalous = "1" }', "anomalous must be a list"),
        ("missing = [1]", "lower"),
        ("files = 3", "map.toml"),
        ("sensor = { a = 3 }", "map.toml"),
        ('sensor = { a = { factor = "x" } }', "sensor 'a': factor, offset and resolution must be finite"),
        ("sensor = { a = { factor = nan } }", "must be finite"),
        ("sensor = { a = { offset = inf } }", "must be finite"),
        ("sensor = { a = { factor = 0 } }", "factor must not be 0"),
        ("sensor = { a = { resolution = -0.1 } }", "resolution not below it"),
    ],
)
def test_an_entry_without_sense_is_refused_by_its_name(tmp_path: Path, entry: str, told: str) -> None:
    with pytest.raises(tables.TableError, match=told) as caught:
        mapping(tmp_path, f"{entry}\n{PLAIN}")
    assert "map.toml" in str(caught.value)


def test_a_mapping_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tables.TableError, match=r"none\.toml"):
        tables.read_mapping(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(tables.TableError, match=r"binary\.toml"):
        tables.read_mapping(tmp_path / "binary.toml")


@pytest.mark.parametrize("pattern", ["", "/etc/*.csv"])
def test_a_pattern_that_leads_out_of_the_folder_or_nowhere_is_refused(tmp_path: Path, pattern: str) -> None:
    found = mapping(tmp_path, f'files = {{ judge = ["{pattern}"] }}\n{PLAIN}')
    with pytest.raises(tables.TableError, match="pattern"):
        list(tables.runs(found))


def test_a_file_that_two_patterns_name_is_judged_once(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("t,a\n1,1\n2,2\n")
    found = mapping(tmp_path, f'learn_rows = 1\nfiles = {{ judge = ["one.*", "*.csv"] }}\n{PLAIN}')
    assert [run.judged.name for run in tables.runs(found)] == ["one.csv"]


# ----------------------------------------------------------------------------------------------------------- tables


def test_a_mistake_is_told_by_the_line_that_an_editor_shows(tmp_path: Path) -> None:
    with pytest.raises(tables.TableError, match="line 5, column 'a': 'x' is no number"):
        table(tmp_path, "t,a\n\n1,1\n\n2,x\n")
    with pytest.raises(tables.TableError, match="line 4: 1 columns, the header has 2"):
        table(tmp_path, 't,a\n1,"\n"\n2\n')


@pytest.mark.parametrize("time", ["nan", "inf", "-inf", "", "noon"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, time: str) -> None:
    with pytest.raises(tables.TableError, match="line 3"):
        table(tmp_path, f"t,a\n1,1\n{time},2\n")


def test_two_columns_of_one_name_are_refused_unless_nobody_needs_them(tmp_path: Path) -> None:
    with pytest.raises(tables.TableError, match=r"columns \['a'\] stand there more than once"):
        table(tmp_path, "t,a,a\n1,2,3\n")
    assert table(tmp_path, "t,x,b,x\n1,2,3,4\n", f'ignore = ["x"]\n{PLAIN}').sensors == ("b",)


@pytest.mark.parametrize("content", [b"\xff\xfet\x00", b"t,a\n1,\x00\n", b"t,a\n1," + b"9" * 200_000 + b"\n"])
def test_a_file_that_is_no_table_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(tables.TableError, match=r"one\.csv"):
        table(tmp_path, content)


def test_a_mark_of_byte_order_and_line_ends_of_windows_are_no_part_of_a_name(tmp_path: Path) -> None:
    found = table(tmp_path, b"\xef\xbb\xbft,a\r\n1,5\r\n")
    assert found.sensors == ("a",)
    assert found.values.tolist() == [[5.0]]


def test_readings_that_are_not_finite_are_gaps(tmp_path: Path) -> None:
    found = table(tmp_path, "t,a,b\n1,inf,1e400\n2,-Infinity,NULL\n3, None ,NA\n")
    assert np.isnan(found.values).all()
    assert found.resolution.tolist() == [0.0, 0.0]


def test_a_file_of_a_header_alone_is_a_table_of_no_rows_and_no_clean_period(tmp_path: Path) -> None:
    found = table(tmp_path, "t,a\n")
    assert found.values.shape == (0, 1)
    with pytest.raises(tables.TableError, match="no clean period"):
        list(tables.runs(mapping(tmp_path, f'learn_rows = 9\nfiles = {{ judge = ["*.csv"] }}\n{PLAIN}')))


def test_a_file_without_sensors_has_no_values_and_no_error(tmp_path: Path) -> None:
    assert table(tmp_path, "t\n1\n2\n").values.shape == (2, 0)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-99, 99)), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_rows_in_any_order_are_put_in_the_order_of_time_and_the_last_of_a_time_counts(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int]]
) -> None:
    found = table(tmp_path_factory.mktemp("t"), "t,a\n" + "".join(f"{t},{a}\n" for t, a in rows))
    last = dict(rows)
    assert found.times.tolist() == sorted(last)
    assert found.values[:, 0].tolist() == [last[time] for time in sorted(last)]


@given(st.text(max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_text_is_a_table_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("t")
    try:
        found = table(folder, ("t,a\n" + text).encode("utf-8", "surrogatepass"))
    except tables.TableError:
        return
    assert (np.diff(found.times) > 0).all()
    assert found.values.shape == (len(found.times), 1)


# ----------------------------------------------------------------------------------------------------------- scores

flags = st.lists(st.booleans(), min_size=1, max_size=40)


@given(flags, st.randoms())
def test_scores_are_those_that_counting_gives(truth: list[bool], random: object) -> None:
    alarm = [random.random() < 0.4 for _ in truth]  # type: ignore[attr-defined]
    found = scoring.score(np.array(truth), np.array(alarm))
    pairs = list(zip(truth, alarm, strict=True))
    hit, false, missed = pairs.count((True, True)), pairs.count((False, True)), pairs.count((True, False))
    expected = [(hit, hit + false), (hit, hit + missed), (2 * hit, 2 * hit + false + missed),
                (pairs.count((False, False)), truth.count(False))]  # fmt: skip
    for value, (part, whole) in zip(found[:4], expected, strict=True):
        np.testing.assert_equal(value, part / whole if whole else np.nan)
    assert found.events_found <= found.events


@given(flags, st.integers(0, 39))
def test_an_alarm_that_comes_later_never_scores_better_in_time(truth: list[bool], row: int) -> None:
    known = np.array(truth)
    if not known.any():
        known[0] = True
    alarm = known.copy()
    later = alarm.copy()
    later[: row % len(known)] = False
    assert scoring.batadal(known, later).s_ttd <= scoring.batadal(known, alarm).s_ttd == 1.0
    assert scoring.batadal(known, np.zeros_like(known)).s_ttd == 0.0


def test_an_alarm_that_begins_before_the_event_and_lasts_into_it_is_no_false_one() -> None:
    truth = np.array([0, 0, 1, 1, 0, 0], bool)
    found = scoring.score(truth, np.array([0, 1, 1, 0, 0, 1], bool))
    assert (found.events_found, found.false_episodes) == (1, 1)


def test_nothing_true_and_nothing_said_is_no_share_of_anything() -> None:
    found = scoring.score(np.zeros(5, bool), np.zeros(5, bool))
    assert np.isnan([found.precision, found.recall, found.f1]).all()
    assert (found.true_negative_rate, found.events, found.false_episodes) == (1.0, 0, 0)


# ---------------------------------------------------------------------------------------------------------- command

LABELLED = f'learn_rows = 2\nlabel = {{ column = "bad" }}\nfiles = {{ judge = ["*.csv"] }}\n{PLAIN}'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("t,a\n1,1\n2,2\n3,3\n", "one.csv: no column 'bad' with labels"),
        ("t,a,bad\n1,1,0\n2,2,0\n3,3,0\n", "'bad' says of no row that it is anomalous"),
        ("t,a,bad\n1,x,0\n", "'x' is no number"),
    ],
)
def test_the_command_says_what_is_wrong_and_gives_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, told: str
) -> None:
    (tmp_path / "one.csv").write_text(content)
    mapping(tmp_path, LABELLED)
    assert labelled.main([str(tmp_path / "map.toml")]) == 2
    assert told in capsys.readouterr().err
    assert labelled.main([str(tmp_path / "none.toml")]) == 2


def test_the_trailing_median_of_the_plain_z_takes_a_spike_away_and_keeps_a_step() -> None:
    spike, step = np.zeros(50), np.zeros(50)
    spike[20], step[20:] = 9.0, 9.0
    assert not labelled.median_of(spike, 15).any()
    assert labelled.median_of(step, 15)[20 + 7 :].min() == 9.0
    np.testing.assert_array_equal(labelled.median_of(step, 1), step)


# --------------------------------------------------------------------------------------------------------- baselines

TIMES = 1_767_571_200.0 + 900.0 * np.arange(96 * 3)
VALUES = np.random.default_rng(1).normal(size=(len(TIMES), 2))
IDS = np.array([1, 2])


def learned(values: np.ndarray = VALUES, *marked: Marked, now: float = TIMES[-1]) -> baseline.Baseline:
    return baseline.learn(IDS, values, TIMES, np.full(2, 0.01), [np.array([0, 1])], marked, now)


STORED = baseline.dump(learned())


@given(st.integers(0, len(STORED) - 1), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_byte_that_was_changed_in_storage_is_refused_or_changes_nothing_unseen(place: int, by: int) -> None:
    changed = bytearray(STORED)
    changed[place] ^= by
    try:
        found = baseline.load(bytes(changed))
    except ValueError as error:
        told = str(error)
    else:
        told = ""
        assert found.seasonal.median.shape == (48, 2)
    assert told == "" or told.startswith("not a baseline: ")


def test_bytes_that_break_off_are_refused() -> None:
    for cut in range(0, len(STORED), 97):
        with pytest.raises(ValueError, match="not a baseline"):
            baseline.load(STORED[:cut])


def test_bytes_of_another_format_or_with_objects_in_them_are_refused(tmp_path: Path) -> None:
    for name, content in (("other", {"format": np.array(2)}), ("objects", {"format": np.array([{}], dtype=object)})):
        np.savez(tmp_path / name, **content)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="not a baseline"):
            baseline.load((tmp_path / f"{name}.npz").read_bytes())


def test_when_it_was_learned_is_no_part_of_the_version_and_what_was_learned_is() -> None:
    assert learned(now=1.0).version == learned(now=2.0).version
    moved = VALUES.copy()
    moved[5, 1] += 1e-9
    assert learned(moved).version != learned().version


def test_a_mark_holds_from_its_first_to_its_last_second() -> None:
    kept = baseline.without(VALUES, TIMES, [Marked(TIMES[10], TIMES[12], 0), Marked(TIMES[50] + 1, TIMES[51] - 1)])
    assert np.flatnonzero(np.isnan(kept[:, 0])).tolist() == [10, 11, 12]
    assert not np.isnan(kept[:, 1]).any()


def test_a_mark_that_ends_before_it_begins_or_lies_elsewhere_marks_nothing() -> None:
    kept = baseline.without(VALUES, TIMES, [Marked(TIMES[9], TIMES[3]), Marked(0.0, 1.0)])
    np.testing.assert_array_equal(kept, VALUES)


def test_a_day_with_a_single_reading_is_a_day_with_readings() -> None:
    values = np.full_like(VALUES, np.nan)
    values[[0, 96, 97], 0] = 1.0
    assert learned(values).days.tolist() == [2.0, 0.0]


def test_seven_days_make_a_season_ready_and_six_do_not() -> None:
    times = TIMES[0] + 3600.0 * np.arange(24 * 7)
    values = np.random.default_rng(2).normal(size=(len(times), 2))
    values[-24:, 1] = np.nan
    assert baseline.learn(IDS, values, times, np.full(2, 0.01), [], (), 0.0).ready.tolist() == [True, False]
