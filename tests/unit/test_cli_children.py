"""Children of `lifeline up` as real small programs: what they are given, when they are started again, how they end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from lifeline.cli import up
from lifeline.cli.children import BACK_OFF_S, LOG_LIMIT_BYTES, STEADY_S, Child, cut_log, end, environment
from lifeline.cli.home import Home
from lifeline.errors import ServiceError
from lifeline.settings import Settings

SECRETS = sorted(name for name, field in Settings.model_fields.items() if field.annotation is SecretStr)
Program = Callable[..., Child]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """Makes a child of a few lines of Python; whatever it does, it is gone after the test."""
    made: list[Child] = []

    def make(name: str, code: str, *, once: bool = False, own: dict[str, str] | None = None) -> Child:
        (tmp_path / f"{name}.py").write_text(code)
        environs = {"PYTHONPATH": str(tmp_path)} | (own or {})
        made.append(Child(name, [name], environs, tmp_path / f"{name}.log", once))
        return made[-1]

    yield make
    for child in made:
        child.kill()


class Clock:
    """Stands in for the module ``time`` in `children`: a test need not wait half a minute."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("lifeline.cli.children.time", made)
    return made


def wait(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def gone(process_id: int) -> bool:
    """Ended, even where nobody has asked for its status yet."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def start_and_wait(child: Child) -> None:
    child.start()
    wait(lambda: not child.alive)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("end_", ["", "_FILE"])
@pytest.mark.parametrize("written", [str.upper, str.lower])
def test_no_secret_setting_is_inherited_however_it_is_written(
    name: str, end_: str, written: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LIFELINE_{written(name)}{end_}", "hush")  # settings are read in either case
    assert "hush" not in environment({}).values()


def test_settings_that_are_no_secret_are_inherited_and_a_childs_own_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELINE_RETENTION_DAYS", "30")
    monkeypatch.setenv("LIFELINE_API_PORT", "8080")
    given = environment({"LIFELINE_API_PORT": "8081"})
    assert (given["LIFELINE_RETENTION_DAYS"], given["LIFELINE_API_PORT"]) == ("30", "8081")


def test_no_child_takes_the_home_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELINE_HOME", "/somewhere")
    assert "LIFELINE_HOME" not in environment({})


def test_a_running_child_sees_nothing_of_the_owners_secrets(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELINE_MQTT_PASSWORD", "hush")
    monkeypatch.setenv("SOME_TOKEN", "hush")
    child = program("shows", "import os\nprint(dict(os.environ))", own={"LIFELINE_LOG_LEVEL": "debug"})
    start_and_wait(child)
    told = child.log.read_text()
    assert "'LIFELINE_LOG_LEVEL': 'debug'" in told
    assert "hush" not in told


def test_a_child_writes_both_its_outputs_to_its_log_and_reads_nothing(program: Program) -> None:
    code = "import os, sys\nprint('read', repr(sys.stdin.read()))\nprint('error', file=sys.stderr)\nprint(os.getcwd())"
    child = program("speaks", code)
    start_and_wait(child)
    assert {"read ''", "error", str(child.log.parent)} <= set(child.log.read_text().splitlines())


def test_a_log_goes_on_where_the_last_start_ended_and_its_end_is_told(program: Program) -> None:
    child = program("counts", "for n in range(10): print('line', n)")
    assert child.end_of_log() == "(no log)"
    start_and_wait(child)
    start_and_wait(child)
    assert len(child.log.read_text().splitlines()) == 20
    assert child.end_of_log().splitlines() == ["line 8", "line 9", *(f"line {n}" for n in range(10))]


def test_the_waits_after_crashes_grow_and_the_last_one_repeats(
    program: Program, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    child = program("crashes", "raise SystemExit(3)")
    child.start()
    for restart, pause in enumerate((*BACK_OFF_S, BACK_OFF_S[-1]), 1):
        wait(lambda: not child.alive)
        child.look_after()
        assert f"crashes ended (status 3); again in {pause:g} s, see {child.log}" in capsys.readouterr().err
        clock.now += pause - 0.01
        child.look_after()
        assert child.restarts == restart - 1
        clock.now += 0.02
        child.look_after()
        assert child.restarts == restart


def test_a_child_that_lived_long_begins_at_the_first_wait_again(
    program: Program, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    child = program("crashes", "raise SystemExit(3)")
    child.start()
    for lived, pause in ((0.0, BACK_OFF_S[0]), (STEADY_S, BACK_OFF_S[1]), (STEADY_S + 1, BACK_OFF_S[0])):
        wait(lambda: not child.alive)
        clock.now += lived
        child.look_after()
        assert f"again in {pause:g} s" in capsys.readouterr().err
        clock.now += pause
        child.look_after()


def test_a_crash_is_told_once_however_often_it_is_looked_at(
    program: Program, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    child = program("crashes", "raise SystemExit(3)")
    start_and_wait(child)
    for _ in range(5):
        child.look_after()
        clock.now += 0.1
    assert capsys.readouterr().err.count("crashes ended") == 1


def test_a_child_that_may_end_and_ends_badly_is_started_again(program: Program, clock: Clock) -> None:
    child = program("fails", "raise SystemExit(1)", once=True)
    start_and_wait(child)
    assert not child.finished
    child.look_after()
    clock.now += BACK_OFF_S[0]
    child.look_after()
    assert child.restarts == 1


def test_a_child_that_must_not_end_is_started_again_even_after_a_good_end(program: Program, clock: Clock) -> None:
    child = program("leaves", "")
    start_and_wait(child)
    child.look_after()
    clock.now += BACK_OFF_S[0]
    child.look_after()
    assert child.restarts == 1


def test_a_child_that_was_never_started_is_not_looked_after_and_ends_at_once(program: Program) -> None:
    child = program("never", "print('up')")
    child.look_after()
    end([child], 5)
    assert not child.alive
    assert not child.finished
    assert not child.log.exists()


def test_all_children_are_asked_to_end_before_any_is_killed(program: Program) -> None:
    ready = "import signal, sys, time\n{}\nprint('up', flush=True)\ntime.sleep(60)"
    stubborn = program("stubborn", ready.format("signal.signal(signal.SIGTERM, signal.SIG_IGN)"))
    farewell = "signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)))"
    polite = program("polite", ready.format(farewell))
    for child in (stubborn, polite):
        child.start()
        wait(lambda child=child: "up" in child.log.read_text())  # type: ignore[misc]
    end([stubborn, polite], 5.0)  # the polite one needs far less, but for a busy machine
    assert "bye" in polite.log.read_text()
    assert not stubborn.alive
    assert not polite.alive


def test_what_a_child_has_started_ends_with_it(program: Program) -> None:
    code = "import subprocess, time\nprint(subprocess.Popen(['sleep', '60']).pid, flush=True)\ntime.sleep(60)"
    child = program("parent", code)
    child.start()
    wait(lambda: child.log.read_text().endswith("\n"))
    grandchild = int(child.log.read_text())
    assert not gone(grandchild)
    end([child], 5)
    wait(lambda: gone(grandchild))


def test_no_child_outlives_an_owner_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "sleeps.py").write_text("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)")
    owner = (
        "import os, pathlib, sys, time; from lifeline.cli.children import Child\n"
        "folder = pathlib.Path(sys.argv[1]); log = folder / 'sleeps.log'\n"
        "Child('sleeps', ['sleeps'], {'PYTHONPATH': str(folder)}, log).start()\n"
        "while not log.read_text().endswith('\\n'): time.sleep(0.01)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", owner, tmp_path], check=False).returncode == -signal.SIGKILL
    orphan = int((tmp_path / "sleeps.log").read_text())
    wait(lambda: gone(orphan))


def test_a_log_of_just_the_limit_stays_and_a_second_cut_replaces_the_old_one(tmp_path: Path) -> None:
    log, old = tmp_path / "api.log", tmp_path / "api.old"
    cut_log(log)  # there is none yet
    log.touch()
    os.truncate(log, LOG_LIMIT_BYTES)
    cut_log(log)
    assert not old.exists()
    for extra in (1, 2):
        os.truncate(log, LOG_LIMIT_BYTES + extra)
        cut_log(log)
        assert (log.stat().st_size, old.stat().st_size) == (0, LOG_LIMIT_BYTES + extra)


# --- `lifeline down`

HOLDER = (
    "import pathlib, signal, sys, time; from lifeline.cli.home import Home\n"
    "{}\n"
    "with Home(pathlib.Path(sys.argv[1])).claimed(): print('up', flush=True); time.sleep(60)"
)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Callable[[str], tuple[Home, "subprocess.Popen[bytes]"]]]:
    started: list[subprocess.Popen[bytes]] = []

    def hold(setting: str) -> tuple[Home, "subprocess.Popen[bytes]"]:
        command = [sys.executable, "-c", HOLDER.format(setting), str(tmp_path)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert started[-1].stdout is not None
        assert started[-1].stdout.readline() == b"up\n"
        return Home(tmp_path), started[-1]

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def test_down_asks_the_holder_to_end_and_returns_when_the_home_is_free(
    held: Callable[[str], tuple[Home, "subprocess.Popen[bytes]"]],
) -> None:
    home, process = held("")
    assert home.holder() == process.pid
    up.stop(home)
    assert home.holder() is None
    assert process.wait() == -signal.SIGTERM
    up.stop(home)  # nothing holds it: nothing happens


def test_down_says_so_when_the_holder_does_not_stop_in_time(
    held: Callable[[str], tuple[Home, "subprocess.Popen[bytes]"]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "STOP_S", 0.2)
    home, process = held("signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    with pytest.raises(ServiceError, match=f"process {process.pid} has not stopped"):
        up.stop(home)
    assert process.poll() is None
