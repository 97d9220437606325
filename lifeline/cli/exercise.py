"""The processes of one drill, on a folder of its own: the same programs with other addresses, marked as an exercise."""

import json
from datetime import UTC, datetime

from lifeline import wire
from lifeline.cli.home import Home
from lifeline.cli.system import System, reachable
from lifeline.drills.plan import Plan
from lifeline.embedded import Broker
from lifeline.embedded.acl import acl
from lifeline.settings import PREFIX, Settings
from lifeline.storage.sandbox import Sandbox


class ExerciseSystem(System):
    """What `lifeline up` runs, for a drill: without planning, and with no address of the real system."""

    def __init__(self, home: Home, settings: Settings, drill_id: int, place: Sandbox) -> None:
        super().__init__(home, settings)
        self.dsn = place.dsn
        self._logins = place.logins
        root = wire.exercise_root(drill_id)
        self._acl = acl(root)
        self._marks = {
            f"{PREFIX}MESSAGE_STATUS": "Exercise",
            f"{PREFIX}TOPIC_ROOT": root,
            f"{PREFIX}INGEST_TOPICS": json.dumps([wire.readings_topic("+", "+", root)]),
            f"{PREFIX}PAGE_TITLE": f"演练 EXERCISE {drill_id} · {settings.page_title}",
            **{f"{PREFIX}{name}_METRICS_PORT": "0" for name in ("INGEST", "ALERTS", "PLANNING")},
        }

    def start_services(self) -> None:
        """A broker of its own: nothing that is said here is heard by the real one, whatever its rules."""
        for name in ("ingest", "simulator"):
            self.home.secret(f"mqtt/{name}")
        self.broker = Broker(self.home.path, self.home.mqtt_users(), acl=self._acl, durable=False)
        self.broker.start()
        self.mqtt = (self.broker.host, self.broker.port)

    def start_processes(self) -> None:
        """ingest, alerts and api; returns when each has given a sign of life."""
        began, wanted = datetime.now(UTC), self.settings.api_port or 8080
        port = self.home.port("api", wanted, insist=False)
        self.url = f"http://{reachable(self.settings.api_host)}:{port}/"
        place = {f"{PREFIX}API_PORT": str(port), f"{PREFIX}PUBLIC_URL": self.url.rstrip("/")}
        self.start("ingest", self._marks | self._connection("ingest") | self._mqtt())
        self.start("alerts", self._marks | self._connection("alerts") | self._links() | place)
        self.start("api", self._marks | self._connection("api") | self._links() | place)
        self._wait_for({"ingest", "alerts"}, began)

    def play(self, plan: Plan) -> None:
        """Let the simulators play the scenario from now on."""
        self.start(
            "simulators", self.simulator_environment() | self._marks,
            "run", "--seed", str(plan.seed), "--history-days", "0", "--scenario", plan.scenario,
            "--speed", str(plan.speed), "--truth", str(self.home.path / "truth.jsonl"),
        )  # fmt: skip

    def _connection(self, process: str) -> dict[str, str]:
        path = self.home.secrets / f"{process}.dsn"
        path.touch(mode=0o600)
        path.write_text(self._logins[process], encoding="utf-8")
        return {f"{PREFIX}DATABASE_URL_FILE": str(path)}

    def _links(self) -> dict[str, str]:
        """A secret of its own, so that a link of the exercise does nothing to a real alert."""
        return {f"{PREFIX}LINK_SECRET_FILE": str(self.home.secret("links"))}
