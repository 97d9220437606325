"""The table of what detectors find: written after each town, so that a run that ends early has told what it knows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import phenomena
from tests.benchmarks.phenomena import Found, Told, tell, told_so_far

PAGE = "# Detectors\n\nBefore.\n\n<!-- measured -->\nold\n<!-- end -->\n\nAfter.\n"
BURST = "burst, 100 mm hole"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page with a table of another day; the run begins at town 101."""
    file = tmp_path / "detectors.md"
    file.write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(phenomena, "PAGE", file)
    monkeypatch.setattr(phenomena, "FIRST", 101)
    return file


def town(delay_s: float | None, *false: str) -> Told:
    """A town of 50 sensor-months in which one main burst."""
    rule = "" if delay_s is None else "pressure.burst"
    level = "" if delay_s is None else "red"
    return Told([Found(BURST, True, delay_s, rule, level, 1, 1, 4)], list(false), [], 50.0)


def line(page: Path) -> list[str]:
    """Visible, found, at the right level, median and longest delay of the burst."""
    (told,) = [one for one in page.read_text(encoding="utf-8").splitlines() if one.startswith(f"| {BURST} |")]
    return told.split(" | ")[1:6]


def test_a_run_that_breaks_off_leaves_the_table_of_the_towns_it_has_judged(page: Path) -> None:
    def towns() -> Iterator[Told]:
        yield town(40.0)
        yield town(100.0, "pressure.burst")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(told_so_far(towns()))
    text = page.read_text(encoding="utf-8")
    assert line(page) == ["2", "2", "2", "70 s", "100 s"]
    assert "Seeds 101 to 102, 100 sensor-months. False risk alerts: 1 (pressure.burst 1), 0.01 a sensor-month" in text
    assert text.startswith("# Detectors\n\nBefore.\n\n<!-- measured -->\n")
    assert text.endswith("<!-- end -->\n\nAfter.\n")
    assert "old" not in text


def test_the_table_is_written_anew_with_each_town(page: Path) -> None:
    towns = told_so_far(iter([town(40.0), town(None)]))
    assert page.read_text(encoding="utf-8") == PAGE
    next(towns)
    assert line(page) == ["1", "1", "1", "40 s", "40 s"]
    next(towns)
    assert line(page) == ["2", "1", "1", "40 s", "40 s"]
    assert next(towns, None) is None


def test_what_is_printed_is_held_against_the_limits_and_writes_nothing(page: Path) -> None:
    rows = {row.what: row for row in tell([town(40.0), town(400.0), town(None)])}
    assert rows[f"{BURST}: found"].ok is False
    assert rows[f"{BURST}: longest delay"].ok is False
    assert rows["false risk alerts"].ok is True
    assert page.read_text(encoding="utf-8") == PAGE
