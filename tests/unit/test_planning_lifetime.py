"""Children of planning: they end with their parent, their end is told in words, and nothing of them is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lifeline.planning.process import _end, _why

SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
TIED = (
    "import os, subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import os, time\\n"
    "from lifeline.planning.lifetime import tie_to_parent\\n"
    "tie_to_parent(os.getppid())\\n"
    "print(os.getpid(), flush=True)\\n"
    "time.sleep(60)'])\n"
    "time.sleep(60)\n"
)


def gone(process: int, seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (1, "status 1; its log says why"),
        (0, "status 0"),
        (-signal.SIGKILL, "ended by SIGKILL (out of memory?)"),
        (-signal.SIGSEGV, "ended by SIGSEGV"),
        (-signal.SIGTERM, "ended by SIGTERM"),
    ],
)
def test_an_end_is_told_in_words(status: int, said: str) -> None:
    assert said in _why(status)


def test_only_a_kill_is_taken_for_a_full_memory() -> None:
    assert "memory" not in _why(-signal.SIGSEGV)


def test_a_child_ends_at_once_when_it_is_asked() -> None:
    child = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    _end([child])
    assert child.returncode == -signal.SIGTERM


def test_a_child_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifeline.planning.process.END_S", 0.3)
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], start_new_session=True, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    _end([child])
    child.stdout.close()
    assert child.returncode == -signal.SIGKILL


def test_what_a_child_started_ends_with_it() -> None:
    begin = f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', '{SLEEP}'])"
    family = f"{begin}; print(child.pid, flush=True); child.wait()"
    child = subprocess.Popen([sys.executable, "-c", family], start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    _end([child])
    child.stdout.close()
    assert gone(grandchild)


def test_ending_one_that_has_ended_is_no_error() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"], start_new_session=True)
    child.wait()
    _end([child])
    assert child.returncode == 0


def test_a_tied_child_dies_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", TIED], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child, 0.2)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(child)


def test_a_child_whose_parent_died_before_it_was_tied_ends_itself() -> None:
    code = f"from lifeline.planning.lifetime import tie_to_parent; tie_to_parent({os.getpid() + 1}); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == ""
