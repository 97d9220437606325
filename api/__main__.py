"""``python -m api``: serves the API and the operations page until SIGTERM or SIGINT."""

import signal
import sys
from datetime import UTC, datetime
from types import FrameType

import structlog
import uvicorn

from api.application import create_app
from api.connection import PatientProtocol
from api.live import Broadcaster
from lifeline.errors import LifelineError
from lifeline.log import configure_logging
from lifeline.settings import load_settings


class _Server(uvicorn.Server):
    """Ends the live streams first: they would keep the server from stopping."""

    def __init__(self, config: uvicorn.Config, live: Broadcaster) -> None:
        super().__init__(config)
        self._live = live

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        # uvicorn's own handler would raise the signal again at the end, and an orderly stop would not exit with 0.
        self._live.close()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


SWITCH_S = 0.0005
"""A request waits so long for the thread that draws or records the map, not Python's usual 5 ms at each turn."""


def main() -> int:
    """Run until told to stop; 0 for an orderly end, 2 where the configuration is wrong."""
    try:
        settings = load_settings()
        configure_logging("api", settings)
        served, app = create_app(settings, lambda: datetime.now(UTC))
    except LifelineError as error:
        print(f"api: {error}", file=sys.stderr)  # noqa: T201
        return 2
    sys.setswitchinterval(SWITCH_S)
    log = structlog.get_logger()
    config = uvicorn.Config(
        served,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        http=PatientProtocol,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=5,
        limit_concurrency=settings.api_sse_clients + 200,
        lifespan="on",
    )
    log.info("serving", host=settings.api_host, port=settings.api_port)
    server = _Server(config, app.state.live)
    server.run()
    log.info("stopped")
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
