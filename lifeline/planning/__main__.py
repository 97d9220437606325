"""``python -m lifeline.planning``: works jobs until SIGTERM; ``... job ID ATTEMPT PARENT`` is one of its children."""

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from threading import Event

from prometheus_client import start_http_server

from lifeline.errors import LifelineError
from lifeline.log import configure_logging
from lifeline.planning.process import COMMAND, Process
from lifeline.planning.registry import KINDS, JobKind
from lifeline.planning.work import work
from lifeline.settings import Settings, load_settings


def main(arguments: Sequence[str], kinds: Mapping[str, JobKind] = KINDS, command: Sequence[str] = COMMAND) -> int:
    """Run the process or one job; give the exit code."""
    try:
        settings = load_settings()
        configure_logging("planning", settings)
        if arguments[:1] == ["job"]:
            job_id, attempt, parent = (int(each) for each in arguments[1:4])
            return work(settings.require_database(), job_id, attempt, parent, kinds)
        return _serve(settings, kinds, command)
    except (LifelineError, OSError) as error:
        print(f"planning: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _serve(settings: Settings, kinds: Mapping[str, JobKind], command: Sequence[str]) -> int:
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    instance = f"{socket.gethostname()}:{settings.planning_metrics_port or os.getpid()}"
    process = Process(settings, lambda: datetime.now(UTC), instance, kinds, command)
    if settings.planning_metrics_port:
        start_http_server(settings.planning_metrics_port, settings.metrics_host)
    process.run(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
