"""The process: what runs when, who leads, and what happens while the database is away."""

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from alerts import learning, metrics, nightly, review
from alerts.causes import load_causes
from alerts.delivery import Courier, Style
from alerts.rules import AnyRule, clearing_within, load_rules
from alerts.tick import TickReport, Watch
from lifeline.catalogue import load_catalogue
from lifeline.errors import StorageError, StorageUnavailableError
from lifeline.response import load_deadlines
from lifeline.settings import Settings
from lifeline.storage import alerts as alert_storage
from lifeline.storage import (
    baselines,
    health,
    incidents,
    outbox,
    pacing,
    response,
    retention,
    rollups,
    rulebook,
    shelving,
)
from lifeline.storage.database import Connection, open_pool, storage_errors
from lifeline.storage.leadership import Leadership
from lifeline.storage.rulebook import Proposal, ProposalState

LOCK = 5_461_433_650
DELIVERY_S = 0.5
HEARTBEAT_S = 5.0
LEARNING_S = 60.0
RETENTION_S = 3600.0
FOLLOW_UP_S = 5.0
REVIEW_S = 5.0
LONGEST_BACKOFF_S = 30.0

_log = structlog.get_logger()


class Process:
    """One ``alerts`` process. ``clock`` is read by its jobs and by nothing below them."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime], instance: str) -> None:
        self._settings, self._clock, self._instance = settings, clock, instance
        self._catalogue = load_catalogue(settings.catalogue)
        rules = load_rules(self._catalogue, settings.alerts_window_s, settings.alerts_rules)
        self._rules = clearing_within(rules, settings.alerts_clear_s)
        self._causes = load_causes(settings.alerts_causes)
        self._deadlines = load_deadlines(settings.response)
        dsn = settings.require_database()
        self._pool = open_pool(dsn, application="lifeline alerts", size=12)
        self._leadership = Leadership(dsn, key=LOCK, application="lifeline alerts leader")
        self._courier = Courier(
            self._pool,
            clock,
            timeout_s=settings.webhook_timeout_s,
            allowed=settings.webhook_allow,
            style=Style(
                settings.public_url.rstrip("/"),
                settings.sender,
                settings.message_status,
                next(iter(settings.link_secret.get_secret_value().split()), ""),
                timedelta(hours=settings.link_hours),
            ),
        )
        self._leads, self._stopping = threading.Event(), threading.Event()
        self._watch: Watch | None = None
        self._failures = 0
        self._not_before = clock()
        self._ticked_at: datetime | None = None
        self._outdated: bool | None = None  # whether an update must learn anew; not looked at yet
        self._published = False
        self._reported_on, self._reported_hour = date.min, -1
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(6)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )

    def start(self) -> None:
        """Begin to work, or to stand by."""
        jobs: list[tuple[Callable[[], None], float]] = [
            (self.tick, self._settings.alerts_tick_s),
            (self.deliver, DELIVERY_S),
            (self.roll_up, self._settings.rollup_s),
            (self.follow_up, FOLLOW_UP_S),
            (self.learn, LEARNING_S),
            (self.review, REVIEW_S),
            (self.retain, RETENTION_S),
            (self.beat, HEARTBEAT_S),
        ]
        for job, seconds in jobs:
            self._scheduler.add_job(job, "interval", seconds=seconds, next_run_time=self._clock(), id=job.__name__)
        self._scheduler.add_listener(_count_failure, EVENT_JOB_ERROR)
        self._scheduler.start()
        _log.info("started", rules=len(self._rules), instance=self._instance)

    def stop(self) -> None:
        """Finish what runs, and let another lead."""
        self._stopping.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        self._courier.close()
        self._leadership.release()
        self._pool.close()
        _log.info("stopped")

    def tick(self) -> None:
        """Look at what came, where this process leads; back off while the database is away."""
        now = self._clock()
        if now < self._not_before:
            return
        try:
            if self._lead():
                watch = self._watch = self._watch or self._new_watch()
                with metrics.TICK_SECONDS.time(), self._connection() as connection:
                    report = watch.tick(connection, now)
                    _count(connection, report, watch)
                self._ticked_at = now
            self._failures = 0
            metrics.DATABASE_UP.set(1)
        except StorageError as error:
            self._back_off(now, error)

    def _new_watch(self) -> Watch:
        return Watch(self._rules, self._catalogue, self._settings.alerts_window_s, self._causes)

    def _lead(self) -> bool:
        leads = self._leadership.held()
        if leads != self._leads.is_set():
            _log.info("leads" if leads else "stands by", instance=self._instance)
        if leads and not self._leads.is_set():
            with self._connection() as connection:
                outbox.release(connection, self._clock())
            self._leads.set()
        if not leads:
            self._step_down()
        metrics.LEADER.set(leads)
        return leads

    def _step_down(self) -> None:
        """What the window missed meanwhile would be missing for ever: begin anew."""
        self._leads.clear()
        self._watch = None
        metrics.LEADER.set(0)

    def _back_off(self, now: datetime, error: StorageError) -> None:
        self._failures += 1
        seconds = min(LONGEST_BACKOFF_S, 2.0 ** min(self._failures, 10) / 2) * (0.5 + random.random() / 2)  # noqa: S311
        self._not_before = now + timedelta(seconds=seconds)
        metrics.TICKS.labels("failed").inc()
        if isinstance(error, StorageUnavailableError):
            metrics.DATABASE_UP.set(0)
            self._step_down()
        _log.warning("tick failed", error=str(error), again_in_s=round(seconds, 1), failures=self._failures)

    def deliver(self) -> None:
        """Send what is due, until nothing is."""
        try:
            while self._leads.is_set() and not self._stopping.is_set():
                running = self._courier.run(self._clock())
                if not running:
                    return
                wait(running, timeout=DELIVERY_S, return_when=FIRST_COMPLETED)
        except StorageError as error:
            _log.warning("delivery waits for the database", error=str(error))

    def roll_up(self) -> None:
        """Compute the roll-ups of what came."""
        self._upkeep("roll-ups", lambda connection, now: rollups.run(connection, now, go_on=self._goes_on))

    def follow_up(self) -> None:
        """What goes by the clock: groups, reminders, escalation, overdue steps, the shelf, the archive."""
        self._upkeep("follow-up", self._follow_up)

    def _follow_up(self, connection: Connection, now: datetime) -> None:
        for alert in shelving.release(connection, now):
            _log.info("back from the shelf", alert=alert.alert_id, state=alert.state)
        for late in response.tell_overdue(connection, self._deadlines, now):
            _log.warning("overdue", alert=late.alert_id, step=late.step, level=late.level.slug, due_at=late.due_at)
        response.archive(connection, now)
        paced = pacing.pace(connection, now)
        metrics.PACED.labels("groups").inc(paced.groups)
        metrics.PACED.labels("reminders").inc(paced.reminders)
        metrics.PACED.labels("escalated").inc(paced.escalated)

    def learn(self) -> None:
        """Learn what is normal, where it is time to."""
        self._upkeep("baselines", self._learn)

    def _learn(self, connection: Connection, now: datetime) -> None:
        if self._outdated is None:
            self._outdated = learning.outdated(connection)
        if self._outdated or learning.due(baselines.standing(connection), now.timestamp()):
            local = self._settings.local_time
            learning.learn_city(connection, self._catalogue, self._rules, now.timestamp(), self._goes_on, local)
            self._outdated = False

    def review(self) -> None:
        """Answer proposals to change a rule with what they would have done; and the nightly report."""
        self._upkeep("review", self._review)

    def _review(self, connection: Connection, now: datetime) -> None:
        rules = {rule.id: rule for rule in self._rules}
        if not self._published:
            rulebook.publish(connection, review.lines(self._rules, now))
            self._published = True
        if self._reported_on != now.date() or now.hour != self._reported_hour:
            made = nightly.report(connection, rules, now, self._settings.local_time)
            self._reported_on, self._reported_hour = now.date(), now.hour
            if made:
                _log.info("nightly report", proposals=made)
        waiting = rulebook.proposals(connection, states=[ProposalState.WAITING], limit=1)
        for asked in waiting:
            self._answer(connection, rules, asked, now)

    def _answer(self, connection: Connection, rules: Mapping[str, AnyRule], asked: Proposal, now: datetime) -> None:
        try:
            effect = review.evaluate(
                connection,
                rules,
                self._catalogue,
                self._settings.alerts_window_s,
                asked,
                now,
                self._settings.local_time,
            )
        except review.NotJudgedError as error:
            rulebook.answer(connection, asked.proposal_id, {"error": str(error)}, now, failed=True)
            return
        rulebook.answer(connection, asked.proposal_id, effect, now)
        _log.info("proposal judged", proposal=asked.proposal_id, rule=asked.rule, before=effect["before"]["alerts"])

    def retain(self) -> None:
        """Drop what is older than it is kept."""
        days, quarantine_days = self._settings.retention_days, self._settings.quarantine_days
        self._upkeep("retention", lambda connection, now: retention.run(connection, now, days, quarantine_days))

    def _upkeep(self, job: str, work: Callable[[Connection, datetime], object]) -> None:
        if not self._leads.is_set():
            return
        try:
            with metrics.UPKEEP_SECONDS.labels(job).time(), self._connection() as connection:
                work(connection, self._clock())
        except StorageError as error:
            _log.warning(f"{job} failed", error=str(error))

    def _goes_on(self) -> bool:
        return not self._stopping.is_set()

    def beat(self) -> None:
        """Say that this process lives, leader or not."""
        try:
            with self._connection() as connection:
                ticked_at = self._ticked_at.isoformat() if self._ticked_at else None
                tick_s = self._settings.alerts_tick_s
                detail = {"leader": self._leads.is_set(), "ticked_at": ticked_at, "tick_s": tick_s}
                health.beat(connection, "alerts", self._instance, self._clock(), detail)
        except StorageError as error:
            _log.debug("no heartbeat", error=str(error))

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with storage_errors(), self._pool.connection() as connection:
            yield connection


def _count_failure(event: JobExecutionEvent) -> None:
    """A job that raised what nobody expected: APScheduler logs it, and the next run tries again."""
    if event.job_id == "tick":
        metrics.TICKS.labels("failed").inc()


def _count(connection: Connection, report: TickReport, watch: Watch) -> None:
    metrics.TICKS.labels("done").inc()
    metrics.FINDINGS.set(report.findings)
    metrics.SENSORS.set(report.sensors)
    metrics.WINDOW_BYTES.set(watch.bytes)
    for alert in report.raised:
        metrics.RAISED.labels(alert.rule).inc()
        _log.info("raised", alert=alert.alert_id, rule=alert.rule, level=alert.level.slug, network=alert.network)
    for alert in report.changed:
        metrics.CHANGED.labels(alert.rule).inc()
    metrics.OPEN.clear()
    for (network, kind, level), count in alert_storage.open_by_level(connection).items():
        metrics.OPEN.labels(network, kind, level.slug).set(count)
    metrics.INCIDENTS_OPEN.clear()
    for level, count in incidents.open_by_level(connection).items():
        metrics.INCIDENTS_OPEN.labels(level.slug).set(count)
    waiting = outbox.waiting(connection)
    metrics.OUTBOX_WAITING.set(waiting.messages)
    metrics.DELIVERIES_WAITING.set(waiting.deliveries)
