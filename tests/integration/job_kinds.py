"""``python -m tests.integration.job_kinds``: the planning process with kinds of jobs that show how jobs end."""

import os
import signal
import sys
import time
from datetime import time as local_time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from lifeline.errors import NotFoundError
from lifeline.model import JsonObject
from lifeline.planning import Progress
from lifeline.planning.__main__ import main
from lifeline.planning.registry import JobKind
from lifeline.storage.database import Connection

KINDS = {"trial": JobKind("tests.integration.job_kinds", "Shows how jobs end")}
NIGHTLY = {"trial": JobKind("tests.integration.job_kinds", "Shows how jobs end", nightly=local_time(0, 0))}
COMMAND = (sys.executable, "-m", "tests.integration.job_kinds")


class Parameters(BaseModel):
    """``end``: what becomes of it; ``marks``: a folder in which each run leaves its process id; ``seconds``: how long
    it takes, but for a run that finds the mark of another: what was ended midway is done at once when begun again."""

    model_config = ConfigDict(extra="forbid")
    end: str = "well"
    seconds: float = Field(0.0, ge=0, le=60)
    marks: str = ""


def run(connection: Connection, parameters: JsonObject, progress: Progress) -> JsonObject:
    """Take a while, then end as asked."""
    seconds = parameters["seconds"]
    if parameters["marks"]:
        folder = Path(parameters["marks"])
        seconds = 0.0 if any(folder.iterdir()) else seconds
        (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + seconds
    progress(0.25, "a quarter")
    while time.monotonic() < deadline:
        time.sleep(0.02)
    if parameters["end"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if parameters["end"] == "refused":
        raise NotFoundError("there is no such thing")
    if parameters["end"] == "broken":
        raise ZeroDivisionError("nothing was expected of this")
    if parameters["end"] == "without a package":
        raise ModuleNotFoundError("No module named 'solver'", name="solver")
    row = connection.execute("SELECT count(*) FROM job").fetchone()
    return {"jobs": row[0] if row else 0, "niceness": os.nice(0)}


if __name__ == "__main__":
    kinds = NIGHTLY if os.environ.get("NIGHTLY") else KINDS
    sys.exit(main(sys.argv[1:], kinds, COMMAND))
