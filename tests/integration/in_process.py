"""Runs a command of `lifeline` within the tests' own process: to start one takes most of a second of a core.

As a process of its own the command is run by tests/acceptance, by `test_cli` where that is what is tested, and where it
starts children that write to the terminal themselves.
"""

import io
import os
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from lifeline.cli import main
from tests.acceptance.commands import environment


def lifeline(*arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """What the process would have given: its exit status and what it wrote; a traceback is never a right answer."""
    said, complained = _pipe(), _pipe()
    called = ["lifeline", *map(str, arguments)]
    with (
        patch.dict(os.environ, environment(**settings), clear=True),
        patch("sys.argv", called),
        redirect_stdout(said),
        redirect_stderr(complained),
    ):
        try:
            status = main()
        except SystemExit as end:
            status = end.code
    return subprocess.CompletedProcess(called, int(status or 0), _read(said), _read(complained))


def _pipe() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")


def _read(pipe: io.TextIOWrapper) -> str:
    pipe.seek(0)
    return pipe.read()
