"""``python -m alerts``: readings to alerts to messages, until SIGTERM or SIGINT."""

import logging
import os
import signal
import socket
import sys
import threading
from datetime import UTC, datetime

from prometheus_client import start_http_server

from alerts.process import Process
from lifeline.errors import LifelineError
from lifeline.log import configure_logging
from lifeline.settings import Settings, load_settings


def main() -> int:
    """Run the process; give its exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load_settings()
        configure_logging("alerts", settings)
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a job that is still running is no news
        process = Process(settings, lambda: datetime.now(UTC), _instance(settings))
        _serve_metrics(settings)
    except (LifelineError, OSError) as error:
        print(f"alerts: {error}", file=sys.stderr)  # noqa: T201
        return 1
    process.start()
    stop.wait()
    process.stop()
    return 0


def _instance(settings: Settings) -> str:
    """Tells two processes of one machine apart, and stays the same over a restart where it can."""
    return f"{socket.gethostname()}:{settings.alerts_metrics_port or os.getpid()}"


def _serve_metrics(settings: Settings) -> None:
    if settings.alerts_metrics_port:
        start_http_server(settings.alerts_metrics_port, settings.metrics_host)


if __name__ == "__main__":
    sys.exit(main())
