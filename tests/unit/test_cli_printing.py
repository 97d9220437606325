"""What the commands print: sensors, processes, books and alerts, one line each."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.catalogue import shipped_catalogue
from lifeline.cli import console, sensors, state
from lifeline.model import AlertKind, Level
from lifeline.storage.health import Accounts, AlertCount, Books, Heartbeat
from lifeline.storage.inventory import SensorState

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
Capture = pytest.CaptureFixture[str]


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_what_looks_like_markup_is_printed_as_it_is(capsys: Capture) -> None:
    console.say("[red]sensor[/red] [/]")
    console.note("[bold]x")
    console.fail("no [such] thing")
    told = capsys.readouterr()
    assert told.out == "[red]sensor[/red] [/]\n"
    assert told.err == "[bold]x\nlifeline: no [such] thing\n"


def test_in_a_log_each_step_is_one_line(capsys: Capture) -> None:
    with console.fractions() as show:
        for what, done in (("fetching", 0.0), ("fetching", 0.5), ("unpacking", 0.0), ("fetching", 1.0)):
            show(what, done)
    with console.count_of("assets", 3) as progress:
        progress(3)
    assert capsys.readouterr().err == "  fetching\n  unpacking\n"


def sensor(
    channel: str = "methane", age_s: float | None = 5, value: float | None = 1.25, **more: object
) -> SensorState:
    ts = None if age_s is None else NOW - timedelta(seconds=age_s)
    values = {"asset": None, "in_service": True, "max_silence_s": None} | more
    return SensorState("d1", "gas", channel, name="", gateway=None, ts=ts, value=value, received_at=ts, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state_", "line"),
    [
        (sensor(), ["d1", "methane", "gas", "-", "1.25", "%VOL", "5", "s"]),
        (sensor(age_s=901), ["d1", "methane", "gas", "-", "1.25", "%VOL", "15", "min", "silent"]),
        (sensor(age_s=61, max_silence_s=60.0, asset="P-1"),
         ["d1", "methane", "gas", "P-1", "1.25", "%VOL", "61", "s", "silent"]),
        (sensor(age_s=None, value=None), ["d1", "methane", "gas", "-", "-", "never", "silent"]),
        (sensor(age_s=9e5, in_service=False),
         ["d1", "methane", "gas", "-", "1.25", "%VOL", "10", "d", "out", "of", "service"]),
        (sensor("no_such_quantity", 9e5), ["d1", "no_such_quantity", "gas", "-", "1.25", "10", "d"]),
    ],
)  # fmt: skip
def test_a_sensor_is_one_line_with_its_unit_its_age_and_what_is_wrong(
    state_: SensorState, line: list[str], capsys: Capture
) -> None:
    sensors._show([state_], NOW, shipped_catalogue())
    told = words(capsys.readouterr().out)
    assert told[1:] == [line, ["1", "sensors"]]


def test_long_names_are_not_folded_where_there_is_no_terminal(capsys: Capture) -> None:
    sensors._show([sensor(asset="P" * 64)], NOW, shipped_catalogue())
    assert "P" * 64 in capsys.readouterr().out


@given(st.floats(0, 1e8), st.floats(0, 1e8))
def test_an_age_never_seems_younger_than_one_that_is_younger_by_the_unit(one: float, other: float) -> None:
    sizes = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
    told = []
    for seconds in sorted((one, other)):
        number, unit = sensors.age(NOW - timedelta(seconds=seconds), NOW).split()
        assert abs(int(number) * sizes[unit] - seconds) <= sizes[unit] / 2 + 1e-3
        told.append(int(number) * sizes[unit])
    assert told[0] <= told[1] + sizes["d"] / 2


def beat(process: str, age_s: float, instance: str = "1") -> Heartbeat:
    return Heartbeat(process, instance, NOW - timedelta(seconds=age_s), {})


@pytest.mark.parametrize(
    ("beats", "well", "shown"),
    [
        ([beat("ingest", 1), beat("api", 30)], True, ["ingest", "api"]),
        ([beat("ingest", 1), beat("api", 31)], False, ["ingest", "api"]),
        ([beat("ingest", 1, "new"), beat("ingest", 900, "old")], True, ["ingest"]),
        ([beat("ingest", 900, "old"), beat("ingest", 800, "new")], False, ["ingest", "ingest"]),
        ([], True, ["no"]),
    ],
)
def test_a_process_is_silent_when_none_of_its_instances_beats(
    beats: list[Heartbeat], well: bool, shown: list[str], capsys: Capture
) -> None:
    assert state._processes(beats, NOW) is well
    told = capsys.readouterr().out
    assert [line[0] for line in words(told) if line[0] != "process"] == shown
    assert ("SILENT" in told) is not well


def test_books_that_disagree_are_told_and_are_not_well(capsys: Capture) -> None:
    right = Books(Accounts(10, 7, 2, 1), 7, 1, 0, 0, native_retention=False)
    assert state._books(right)
    assert "received 10 = stored 7 + duplicate 2 + quarantined 1" in capsys.readouterr().out
    assert not state._books(Books(Accounts(11, 7, 2, 1), 6, 1, 0, 0, native_retention=False))
    told = capsys.readouterr().out
    assert told.count("WRONG") == 2
    assert "they agree" not in told


def test_open_alerts_are_counted_by_kind_and_level(capsys: Capture) -> None:
    state._alerts([])
    state._alerts([AlertCount(AlertKind.RISK, Level.RED, 3, 2)])
    assert words(capsys.readouterr().out)[0::2] == [["no", "alert", "is", "open"], ["risk", "red", "3", "2"]]
