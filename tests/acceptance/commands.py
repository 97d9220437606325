"""Runs `lifeline` as a user does: as a process, with an environment of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lifeline.cli.home import Home, Running

LIFELINE = Path(sys.executable).with_name("lifeline")


def environment(**settings: str) -> dict[str, str]:
    """The tests' environment without their settings of Lifeline, and ``settings``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIFELINE_")}
    kept = {name: os.environ[name] for name in ("LIFELINE_CACHE",) if name in os.environ}
    return {**inherited, **kept, **settings}


def lifeline(*arguments: str | Path, timeout: float = 180, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command, run to its end; a traceback is never a right answer."""
    done = subprocess.run(
        [LIFELINE, *arguments],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


class Started:
    """`lifeline up` or `lifeline demo`, running. As the leader of a group, as a terminal or make would have it."""

    def __init__(self, home: Path, *arguments: str, command: str = "up", **settings: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o711)
        self.home = Home(home if command == "up" else home / "demo")
        self.log = home / f"{command}.log"
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [LIFELINE, command, "--home", home, *arguments],
                env=environment(**settings),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, words: str, seconds: float = 120) -> str:
        """Waits until the output has ``words``, and gives all of it."""
        deadline = time.monotonic() + seconds
        while words not in self.text:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.1)
        return self.text

    @property
    def running(self) -> Running:
        found = self.home.running()
        assert found is not None, self.text
        return found

    def members(self) -> dict[int, str]:
        """Every process of the system that is alive: its number and its command line."""
        return {pid: line for pid, line in command_lines().items() if belongs(pid, line, self.home.path)}

    def interrupt(self, how: signal.Signals = signal.SIGINT, seconds: float = 120) -> int:
        """What Ctrl-C does; gives the exit status."""
        os.killpg(self.process.pid, how)
        return self.process.wait(seconds)

    def clean_up(self) -> None:
        """For the end of a test, however it went."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def command_lines() -> dict[int, str]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            if state != "Z":
                found[int(entry.name)] = text
    return found


def belongs(pid: int, line: str, home: Path) -> bool:
    """By what it was started with, or by where it stands: services and processes work in the home's folders."""
    try:
        place = str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        place = ""
    return place.startswith(f"{home}/") or f"{home}/" in line or f"--home {home} " in line


def gone(started: Started, seconds: float = 60) -> bool:
    """Whether nothing is left of the system within the time."""
    deadline = time.monotonic() + seconds
    while started.members() and time.monotonic() < deadline:
        time.sleep(0.1)
    return not started.members()


def truth(path: Path) -> list[dict[str, object]]:
    """What the simulators wrote down."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
