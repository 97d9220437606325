"""Runs one drill: sandbox, broker, processes and simulators of its own, the report at the end, and nothing left over.

Every process is a child that the kernel kills when this one dies; what a kill -9 leaves behind (a database, a
folder) is removed by ``sweep`` at the next start.
"""

import shutil
import signal
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import FrameType

from lifeline.catalogue import load_catalogue
from lifeline.cli.children import end
from lifeline.cli.console import note
from lifeline.cli.exercise import ExerciseSystem
from lifeline.cli.home import Home
from lifeline.cli.inventory import import_files
from lifeline.cli.score import judge, read_truth
from lifeline.cli.twin import make_twin
from lifeline.drills.document import after_action_report
from lifeline.drills.plan import Plan
from lifeline.drills.review import Material, review
from lifeline.errors import ConfigurationError, ConflictError, LifelineError, ServiceError, StorageUnavailableError
from lifeline.model import JsonObject
from lifeline.response import load_deadlines
from lifeline.settings import Settings
from lifeline.storage import drills, sandbox, truth
from lifeline.storage.database import connect
from lifeline.storage.drills import DrillState, RunningDrill
from lifeline.storage.sandbox import Sandbox

BEAT_S = 2.0
HEARD_S = 180.0
"""How long the simulators may take to the first reading."""
DEAD = timedelta(minutes=1)
"""A runner of another machine that gave no sign of life for so long is dead."""
START = timedelta(seconds=5)
"""Between the record and the lock on the folder a runner of this machine takes less than this."""
EARLY = timedelta(minutes=10)
"""The scenario's clock runs while the first readings are waited for."""


class Exercise:
    """One drill from the first step to the last. ``real`` is the home of the Lifeline that it belongs to, ``dsn`` its
    owner's address of the database."""

    def __init__(self, real: Home, settings: Settings, dsn: str) -> None:
        self._real, self._settings, self._dsn = real, settings, dsn
        self._stopped_by = ""
        self._system: ExerciseSystem | None = None

    def begin(self, plan: Plan, actor: str) -> int:
        """Plan and run a drill now; give its id. Raises LifelineError, ConflictError while another one runs."""
        sweep(self._real, self._dsn)
        now = datetime.now(UTC)
        with connect(self._dsn) as connection, connection.transaction():  # nobody else sees it as planned
            drill_id = drills.plan(connection, plan.to_json(), actor, now, now)
            drills.take(connection, drill_id, runner_of(self._real), now)
        self._run(drill_id, plan)
        return drill_id

    def work(self, drill_id: int, plan: Plan) -> None:
        """Run a drill that is planned. Raises ConflictError where somebody else does."""
        with connect(self._dsn) as connection:
            if not drills.take(connection, drill_id, runner_of(self._real), datetime.now(UTC)):
                raise ConflictError(f"drill {drill_id} is not planned any more")
        self._run(drill_id, plan)

    def _run(self, drill_id: int, plan: Plan) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        home, name = home_of_drill(self._real, drill_id), ""
        try:
            home.path.parent.mkdir(parents=True, exist_ok=True)
            home.path.parent.chmod(0o711)  # root's broker is another user: it must be able to pass
            with home.claimed():
                place = sandbox.create(self._dsn, drill_id)
                name = place.name
                self._in_sandbox(drill_id, plan, home, place)
        except (LifelineError, OSError, KeyboardInterrupt) as error:
            reason = str(error) or "stopped before it was open"
            self._finish(drill_id, DrillState.FAILED, reason, None, None)
            if isinstance(error, KeyboardInterrupt):
                return
            raise
        finally:
            if name and plan.keep:
                sandbox.retire(self._dsn, name)
            elif name:
                sandbox.drop(self._dsn, name)
            remove(home)

    def _in_sandbox(self, drill_id: int, plan: Plan, home: Home, place: Sandbox) -> None:
        system = self._system = ExerciseSystem(home, self._settings, drill_id, place)
        try:
            self._tell(drill_id, sandbox=place.name)
            self._furnish(plan, home, place)
            system.start_services()
            system.start_processes()
            system.play(plan)
            self._wait_for_readings(drill_id, place)
            began = datetime.now(UTC)
            with connect(self._dsn) as connection:
                drills.opened(connection, drill_id, system.url, began)
            note(f"exercise  {system.url} (the same keys hold there)")
            with suppress(KeyboardInterrupt):
                self._until_over(drill_id, plan, began)
            end([child for child in system.children if child.name == "simulators"], 5.0)
            ended = datetime.now(UTC)
            end(system.children)
            report, pdf = self._report(plan, home, place, began, ended)
            message = f"stopped by {self._stopped_by}" if self._stopped_by else ""
            self._finish(drill_id, DrillState.DONE, message, report, pdf)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda *_: system.kill())
            system.stop()

    def _furnish(self, plan: Plan, home: Home, place: Sandbox) -> None:
        """The city where the simulators can play it, else their own town; the teams' endpoints and no other."""
        note("sandbox   copying what the city has")
        twin = make_twin(home.path / "town", plan.seed)
        known = sandbox.knows(self._dsn, twin.devices)
        sandbox.copy_city(self._dsn, place.dsn, inventory=known)
        sandbox.take_endpoints(self._dsn, place.dsn, sorted({team.endpoint for team in plan.teams if team.endpoint}))
        now = datetime.now(UTC)
        with connect(place.dsn) as connection:
            if known:
                sandbox.silence_others(connection, twin.devices, now)
            else:
                note("twin      the simulators do not know this city: the exercise is in their own town")
                import_files(connection, twin.files, load_catalogue(self._settings.catalogue), now)

    def _wait_for_readings(self, drill_id: int, place: Sandbox) -> None:
        deadline = time.monotonic() + HEARD_S
        assert self._system is not None
        player = self._system.children[-1]
        with connect(place.dsn, autocommit=True) as connection:
            while not sandbox.heard(connection):
                if not player.alive or time.monotonic() > deadline:
                    raise ServiceError(f"the simulators do not play; the end of their log:\n{player.end_of_log()}")
                self._beat(drill_id)
                time.sleep(0.5)

    def _until_over(self, drill_id: int, plan: Plan, began: datetime) -> None:
        """Look after everything until the time is over or somebody wants it to end."""
        assert self._system is not None
        beaten = 0.0
        while (datetime.now(UTC) - began).total_seconds() < plan.lasts_s and not self._stopped_by:
            self._system.look()
            if time.monotonic() - beaten > BEAT_S:
                beaten = time.monotonic()
                self._beat(drill_id)
            time.sleep(0.25)

    def _beat(self, drill_id: int) -> None:
        with suppress(StorageUnavailableError), connect(self._dsn) as connection:
            self._stopped_by = drills.beat(connection, drill_id, datetime.now(UTC)) or ""

    def _report(
        self, plan: Plan, home: Home, place: Sandbox, began: datetime, ended: datetime
    ) -> tuple[JsonObject, bytes | None]:  # fmt: skip
        file = home.path / "truth.jsonl"
        with connect(place.dsn) as connection:
            if file.exists():
                truth.write(connection, read_truth(file), ended)
            material = Material(
                plan=plan,
                score=judge(connection, began - EARLY, ended),
                handled=sandbox.handled(connection),
                steps=sandbox.steps(connection),
                deliveries=sandbox.deliveries(connection),
                deadlines=load_deadlines(self._settings.response),
                began=began,
                ended=ended,
                readings=sandbox.readings(connection),
            )
        report = review(material)
        try:
            return report, after_action_report(report, plan.scenario, self._settings.local_time, ended)
        except ConfigurationError as error:  # the extra is not installed here: the page and the JSON have it all
            note(f"report    no PDF: {error}")
            return report, None

    def _tell(self, drill_id: int, **values: str) -> None:
        with connect(self._dsn) as connection:
            drills.tell(connection, drill_id, **values)

    def _finish(
        self, drill_id: int, state: DrillState, message: str, report: JsonObject | None, pdf: bytes | None
    ) -> None:  # fmt: skip
        with connect(self._dsn) as connection:
            drills.finish(connection, drill_id, state, datetime.now(UTC), message=message, report=report, pdf=pdf)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt


def home_of_drill(real: Home, drill_id: int) -> Home:
    """The folder of a drill while it runs."""
    return Home(real.path / "drills" / str(drill_id))


def runner_of(real: Home) -> str:
    """Who runs drills here: this machine and this Lifeline."""
    return f"{socket.gethostname()}:{real.path}"


def sweep(real: Home, dsn: str) -> int | None:
    """Clear away what a runner left that was killed: its database, log-ins and folders. Gives the drill that it ran.

    Its processes are gone already: the kernel killed them with it.
    """
    with connect(dsn, application="lifeline drill") as connection:
        found = drills.running(connection)
        if found is not None and _is_dead(real, found, datetime.now(UTC)):
            sandbox.drop(dsn, sandbox.name_of(dsn, found.drill_id))
            reason = "its runner was killed; the sandbox has been removed"
            drills.finish(connection, found.drill_id, DrillState.FAILED, datetime.now(UTC), message=reason)
        else:
            found = None
    folder = real.path / "drills"
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name.isdigit() and Home(entry).holder() is None:
            remove(Home(entry))
    return found.drill_id if found else None


def _is_dead(real: Home, found: RunningDrill, now: datetime) -> bool:
    """By the lock on its folder, which the kernel opens when its holder dies; of another machine by its silence."""
    if found.runner == runner_of(real):
        return home_of_drill(real, found.drill_id).holder() is None and now - found.alive_at > START
    return now - found.alive_at > DEAD


def remove(home: Home) -> None:
    """The whole folder of a drill."""
    shutil.rmtree(home.path, ignore_errors=True)
