"""What was measured before, played again: files of both forms, the pace, who speaks, and what is refused."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.cli.address import Place
from lifeline.cli.home import Home, Running
from lifeline.cli.replay import broker_of, passwords
from lifeline.errors import ConfigurationError
from lifeline.exchange.recordings import TableError, mapping_by_header, read_events, read_mapping
from lifeline.model import JsonObject
from lifeline.settings import load_settings
from simulators.gateway import BUFFERED_MESSAGES, Gateway
from simulators.recorded import Files, Sensor
from simulators.replay import Pace, Player, Voices

KNOWN = {
    "rtu-1/level": (7, Sensor("drainage", "rtu-1", "level")),
    "rtu-1/flow": (3, Sensor("drainage", "rtu-1", "flow")),
    "rtu-2/methane": (5, Sensor("gas", "rtu-2", "methane")),
}
WIDE = "ts,rtu-1/level,rtu-1/flow,rtu-2/methane\n1970-01-01T00:01:00Z,0.5,10,\n1970-01-01T00:00:00Z,0.25,,0.125\n"
LONG = (
    "time,device,channel,value\n1970-01-01T00:01:00Z,rtu-1,level,0.5\n1970-01-01T00:01:00Z,rtu-1,flow,10\n"
    "1970-01-01T00:00:00Z,rtu-1,level,0.25\n1970-01-01T00:00:00Z,rtu-2,methane,0.125\n"
    "1970-01-01T00:00:30Z,rtu-2,methane,nan\n"
)
EXPECTED = {
    (0.0, "rtu-1/level", 0.25), (0.0, "rtu-2/methane", 0.125), (60.0, "rtu-1/level", 0.5), (60.0, "rtu-1/flow", 10.0),
}  # fmt: skip


def write(folder: Path, text: str, name: str = "week.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def content(files: Files) -> set[tuple[float, str, float]]:
    (block,) = files.blocks()
    names = [f"{sensor.device}/{sensor.channel}" for sensor in files.sensors]
    rows = zip(block.times.tolist(), block.sensor.tolist(), block.values.tolist(), strict=True)
    return {(time, names[place], value) for time, place, value in rows}


# ---------------------------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("text", [WIDE, LONG, LONG.replace("device,channel", "sensor").replace("rtu-1,", "rtu-1/")
                                  .replace("rtu-2,", "rtu-2/")])  # fmt: skip
def test_a_column_a_sensor_and_a_row_a_reading_say_the_same(tmp_path: Path, text: str) -> None:
    files = Files(write(tmp_path, text), KNOWN)
    assert content(files) == EXPECTED
    assert (files.first, files.last) == (0.0, 60.0)
    assert list(files.left_out) == []


def test_a_mapping_says_whose_a_column_is_and_turns_its_numbers(tmp_path: Path) -> None:
    write(tmp_path, "when;LIT101;X\n60;500;1\n0;250;2\n")
    mapping = 'delimiter = ";"\n[time]\ncolumn = "when"\nformat = "epoch"\n[files]\njudge = ["*.csv"]\n'
    path = write(tmp_path, mapping + "[sensor.LIT101]\nsensor = 'rtu-1/level'\nfactor = 0.001\n", "map.toml")
    files = Files(path, KNOWN)
    assert content(files) == {(0.0, "rtu-1/level", 0.25), (60.0, "rtu-1/level", 0.5)}
    assert list(files.left_out) == ["X"]


def test_a_mapping_of_a_long_file_turns_each_sensors_numbers(tmp_path: Path) -> None:
    file = write(tmp_path, "t,tag,v\n5,A,1\n4,B,\n3,A,2\n")
    text = "[time]\ncolumn = 't'\nformat = 'epoch'\n[long]\nsensor = 'tag'\nvalue = 'v'\n"
    mapping = read_mapping(write(tmp_path, text + "[sensor.A]\nsensor = 'rtu-1/flow'\noffset = 10.0\n", "m.toml"))
    events = read_events(file, mapping)
    assert events.sensors == ("rtu-1/flow", "B")
    assert (events.times.tolist(), events.sensor.tolist(), events.values.tolist()) == ([3, 5], [0, 0], [12, 11])


def test_several_files_are_one_recording_in_order_of_time(tmp_path: Path) -> None:
    write(tmp_path, "ts,rtu-1/level\n1970-01-01T00:02:00Z,3\n", "b.csv")
    write(tmp_path, "ts,rtu-1/flow\n1970-01-01T00:03:00Z,4\n1970-01-01T00:01:00Z,2\n", "a.csv")
    mapping = write(tmp_path, '[time]\ncolumn = "ts"\n[files]\njudge = ["b.csv", "a.csv"]\n', "map.toml")
    (block,) = Files(mapping, KNOWN).blocks()
    assert block.times.tolist() == [60, 120, 180]
    assert block.values.tolist() == [2, 3, 4]


def test_a_part_of_a_file_can_be_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, LONG)
    assert content(Files(path, KNOWN, first=1.0)) == {row for row in EXPECTED if row[0] == 60}
    assert content(Files(path, KNOWN, last=59.0)) == {row for row in EXPECTED if row[0] == 0}
    with pytest.raises(ConfigurationError, match="no reading of a known sensor in the period"):
        Files(path, KNOWN, first=61.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "no column ts, time"),
        ("ts,value\n1,2\n", "neither `sensor` nor `device` and `channel`"),
        ("ts,P1,P2\n2026-01-01,1,2\n", r"no column names a sensor of the inventory as device/channel: P1, P2"),
        ("ts,rtu-1/flow\n2026-01-01T00:00:00Z,x\n", "line 2, column 'rtu-1/flow': 'x' is no number"),
        ("ts,rtu-1/flow\nyesterday,1\n", "line 2: .*yesterday"),
        ("", "no column"),
    ],
)
def test_a_file_that_says_too_little_is_told_what_is_missing(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Files(write(tmp_path, text), KNOWN)


def test_a_file_that_is_not_there_or_matches_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"none\.csv"):
        mapping_by_header(tmp_path / "none.csv")
    mapping = write(tmp_path, '[time]\ncolumn = "ts"\n[files]\njudge = ["*.tsv"]\n', "map.toml")
    with pytest.raises(ConfigurationError, match="no file matches"):
        Files(mapping, KNOWN)


@pytest.mark.parametrize(("entry", "told"), [("[long]\n", "'sensor' is missing"), ("[sensor.A]\nsensor = 5", "text")])
def test_a_mapping_that_names_no_sensor_is_refused(tmp_path: Path, entry: str, told: str) -> None:
    path = write(tmp_path, f'[time]\ncolumn = "ts"\n{entry}', "map.toml")
    with pytest.raises(TableError, match=told):
        read_mapping(path)


def test_a_long_file_cannot_be_read_as_a_table(tmp_path: Path) -> None:
    mapping = read_mapping(write(tmp_path, "[time]\ncolumn = 'ts'\n[long]\nsensor = ['a', 'b']\n", "m.toml"))
    with pytest.raises(TableError, match="no column 'a'"):
        read_events(write(tmp_path, "ts,b,value\n"), mapping)


# ----------------------------------------------------------------------------------------------------------- the pace


@given(st.floats(0.1, 1e4), st.floats(0, 1e5), st.floats(0, 1e5))
def test_played_live_a_reading_bears_the_moment_at_which_it_is_due(speed: float, length: float, at: float) -> None:
    pace = Pace(1e6, 1e6 + length, 2e9, speed, True)
    time = 1e6 + min(at, length)
    assert pace.due(pace.borne(time)) == pytest.approx(time, abs=speed * 1e-5)
    assert pace.borne(time) <= 2e9 + pace.lasts_s + 1e-5
    assert pace.live


def test_the_past_keeps_its_times_or_ends_now_and_is_no_live_matter() -> None:
    kept, shifted = Pace(100, 200, 5000, 60, False), Pace(100, 200, 5000, 0, True)
    assert (kept.borne(150), kept.live, kept.due(5001)) == (150, False, 160)
    assert (shifted.borne(200), shifted.borne(100), shifted.live, shifted.due(0)) == (5000, 4900, False, 200)


# -------------------------------------------------------------------------------------------------------- the playing


class Heard:
    """What goes out, without a broker, and a clock that runs while the player waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages: list[tuple[str, str, str, list[JsonObject]]] = []
        self.clock = 5000.0
        monkeypatch.setattr(
            Gateway,
            "publish",
            lambda gateway, network, device, frames: self.messages.append((gateway.name, network, device, frames)),
        )

    def play(self, files: Files, speed: float, shift: bool, passwords: Path | None = None) -> Player:
        settings = load_settings(mqtt_host="127.0.0.1", mqtt_port=1, mqtt_username="all", mqtt_password="x")
        voices = Voices(settings, passwords, files.sensors)
        pace = Pace(files.first, files.last, self.clock, speed, shift)
        heard = self

        class Stop(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                heard.clock += timeout or 0.0
                return False

        player = Player(files, voices, pace, Stop(), lambda: self.clock)
        player.play(lambda _reached: None)
        return player


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    return Heard(monkeypatch)


def told(heard: Heard) -> set[tuple[str, str, float]]:
    return {
        (frame["ts"], f"{device}/{channel}", value)
        for _, _, device, frames in heard.messages
        for frame in frames
        for channel, value in frame["v"].items()
    }


def test_as_fast_as_it_goes_a_device_says_all_it_knows_in_one_message(heard: Heard, tmp_path: Path) -> None:
    player = heard.play(Files(write(tmp_path, LONG), KNOWN), 0, False)
    assert [(network, device, len(frames)) for _, network, device, frames in heard.messages] == [
        ("drainage", "rtu-1", 2), ("gas", "rtu-2", 1),
    ]  # fmt: skip
    first = heard.messages[0][3]
    assert first[1] == {"ts": "1970-01-01T00:01:00.000000+00:00", "v": {"level": 0.5, "flow": 10.0}, "backlog": True}
    assert (player.readings, player.messages) == (4, 2)


def test_at_a_speed_readings_come_when_they_are_due_and_bear_that_moment(heard: Heard, tmp_path: Path) -> None:
    player = heard.play(Files(write(tmp_path, LONG), KNOWN), 60, True)
    assert heard.clock == pytest.approx(5001, abs=0.01)
    start, end = (datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds") for at in (5000, 5001))
    assert told(heard) == {
        (start, "rtu-1/level", 0.25), (start, "rtu-2/methane", 0.125), (end, "rtu-1/level", 0.5),
        (end, "rtu-1/flow", 10.0),
    }  # fmt: skip
    assert all("backlog" not in frame for *_, frames in heard.messages for frame in frames)
    assert player.readings == 4


def test_two_readings_of_one_sensor_and_moment_are_one(heard: Heard, tmp_path: Path) -> None:
    text = "ts,sensor,value\n1970-01-01T00:00:01Z,rtu-1/flow,1\n1970-01-01T00:00:01Z,rtu-1/flow,2\n"
    player = heard.play(Files(write(tmp_path, text), KNOWN), 0, False)
    assert (player.readings, [frame["v"] for *_, frames in heard.messages for frame in frames]) == (1, [{"flow": 2.0}])


def test_microseconds_of_the_database_are_kept(heard: Heard, tmp_path: Path) -> None:
    moment = "2026-11-01T08:00:00.123457+00:00"
    heard.play(Files(write(tmp_path, f"ts,rtu-1/flow\n{moment},1\n"), KNOWN), 0, False)
    assert {ts for ts, _, _ in told(heard)} == {moment}


def test_a_device_with_a_password_of_its_own_speaks_for_itself(heard: Heard, tmp_path: Path) -> None:
    secrets = tmp_path / "mqtt"
    secrets.mkdir()
    (secrets / "rtu-2").write_text("own\n")
    heard.play(Files(write(tmp_path, LONG), KNOWN), 0, False, secrets)
    assert {(name, device) for name, _, device, _ in heard.messages} == {("replay", "rtu-1"), ("replay-rtu-2", "rtu-2")}


def test_a_device_for_which_nobody_may_speak_is_named() -> None:
    sensors = [sensor for _, sensor in KNOWN.values()]
    with pytest.raises(ConfigurationError, match=r"no log-in for 2 device\(s\), rtu-1 the first: `lifeline sensors"):
        Voices(load_settings(mqtt_host="127.0.0.1"), None, sensors)


def test_who_has_more_to_say_than_the_broker_takes_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway("replay", "", [], load_settings(mqtt_host="127.0.0.1"), "t")
    for number in range(BUFFERED_MESSAGES // 2):
        gateway.offer("t", str(number).encode())
    waits = []

    class Stop:
        def is_set(self) -> bool:
            waits.append(1)
            return len(waits) > 2

    gateway.wait_for_room(Stop())  # type: ignore[arg-type]
    assert len(waits) == 3
    assert gateway.dropped == 0


# -------------------------------------------------------------------------------------------------------- the command


def running(home: Home, **other: object) -> Running:
    values = {"pid": 1, "database_url": "postgresql://x", "mqtt_host": "10.0.0.1", "mqtt_port": 1899}
    return Running(**{**values, "own_database": True, "own_broker": True, "url": "", **other})  # type: ignore[arg-type]


def test_the_homes_own_broker_is_asked_with_the_devices_own_passwords(tmp_path: Path) -> None:
    home = Home(tmp_path)
    place = Place(load_settings(), home, running(home))
    assert passwords(place) == tmp_path / "secrets" / "mqtt"
    assert broker_of(place) == {"LIFELINE_MQTT_HOST": "10.0.0.1", "LIFELINE_MQTT_PORT": "1899"}
    home.make()
    secret = home.secret("mqtt/simulator")
    assert broker_of(place)["LIFELINE_MQTT_USERNAME"] == "simulator"
    assert broker_of(place)["LIFELINE_MQTT_PASSWORD_FILE"] == str(secret)


def test_a_configured_broker_takes_its_configured_user_and_no_password_of_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"LIFELINE_MQTT_HOST": "broker", "LIFELINE_MQTT_USERNAME": "all", "LIFELINE_MQTT_PASSWORD": "x"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    home = Home(tmp_path)
    place = Place(load_settings(), home, running(home))
    assert passwords(place) is None
    assert broker_of(place) == given


def test_without_any_broker_it_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="`lifeline up` starts one"):
        broker_of(Place(load_settings(), Home(tmp_path), None))
