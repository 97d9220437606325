"""``python -m alerts.backtest``: the past run again over stored or file-given history, and what was found in it.

What is normal is learned from what lies before ``--from``, never from what is judged. Ticks come every ``--step``
seconds; breaches between two ticks are seen all the same, and delays are known to a step.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import numpy as np

from alerts import labelled, tables, verdicts
from alerts.detection import Detection
from alerts.knowledge import Part
from alerts.learning import HISTORY_DAYS, WHOLE, learn_part, marks, matrix, parts_of
from alerts.replay import Episode, Replay
from alerts.rules import load_rules
from alerts.timeline import write_timeline
from lifeline.catalogue import load_catalogue
from lifeline.errors import LifelineError
from lifeline.model import SubjectKind
from lifeline.settings import Settings, load_settings
from lifeline.storage import baselines, window
from lifeline.storage.database import Connection, connect

DAY_S = 86_400.0


def main(arguments: Sequence[str]) -> int:
    """Run the command; give its exit status."""
    given = _parser().parse_args(arguments)
    try:
        if given.csv:
            return labelled.main([str(given.csv)])
        if given.first is None:
            _parser().error("--from is needed")
        return _stored(given, load_settings())
    except (LifelineError, tables.TableError) as error:
        print(f"backtest: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lifeline backtest", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--from", dest="first", type=_moment, help="begin, ISO 8601; UTC where no offset is given")
    parser.add_argument("--to", dest="last", type=_moment, help="end; default now")
    parser.add_argument("--rules", type=Path, help="rules to try instead of those in force")
    parser.add_argument("--truth", type=Path, help="what truly happened: a truth file of the simulators")
    parser.add_argument("--step", type=float, default=300.0, help="seconds between ticks (300)")
    parser.add_argument("--plot", type=Path, help="write a timeline as SVG")
    parser.add_argument("--csv", type=Path, help="judge CSV files by this mapping file instead of the stored history")
    return parser


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _stored(given: argparse.Namespace, settings: Settings) -> int:
    catalogue = load_catalogue(settings.catalogue)
    rules = load_rules(catalogue, settings.alerts_window_s, given.rules or settings.alerts_rules)
    last = datetime.now(UTC).timestamp() if given.last is None else given.last
    events = [] if given.truth is None else verdicts.read_truth(given.truth)
    detection = Detection(rules, catalogue, settings.alerts_window_s)
    with connect(settings.require_database(), application="lifeline backtest") as connection:
        devices = window.devices(connection)
        detection.set_inventory(window.sensors(connection), devices, window.assets(connection))
        detection.set_knowledge(learned_before(connection, detection, given.first, settings.local_time))
        replay = Replay(
            detection, lambda _now: [window.DeviceRow(d.device_id, d.gateway_id, "unknown", None) for d in devices]
        )
        took = run_stored(connection, replay, given.first, last, given.step)
    verdict = verdicts.judge(
        events, replay.book.episodes.values(), placer(detection), len(detection.inventory.sensor_ids), given.first, last
    )
    _print(detection, replay, verdict, took, truth=given.truth is not None)
    if given.plot:
        write_timeline(given.plot, list(replay.book.episodes.values()), events, given.first, last)
    return 0


def learned_before(connection: Connection, detection: Detection, first: float, local_time: tzinfo) -> list[Part]:
    """What the days before ``first`` teach, as the scheduled job would have learned it then."""
    low, found = first - HISTORY_DAYS * DAY_S, []
    alarms = baselines.alarms(connection, low, first)
    whole = {rule.id for rule in detection.rules.values() if rule.detector in WHOLE}
    zones = window.metered_zones(connection)
    for columns in parts_of(detection.inventory, detection.topology).values():
        ids = detection.inventory.sensor_ids[columns]
        values, times = matrix(baselines.history(connection, ids.tolist(), low, first), ids)
        if len(times):
            marked = marks(alarms, ids.tolist(), whole)
            found.append(
                learn_part(
                    detection.inventory, detection.topology, columns, values, times, marked, first, zones, local_time
                )
            )
    return found


def run_stored(connection: Connection, replay: Replay, first: float, last: float, step_s: float) -> float:
    """Day by day, so that memory holds a day; seconds that it took."""
    begun = time.perf_counter()
    replay.start(window.past_between(connection, first - DAY_S - 900, first), first)
    now = first
    while now < last:
        end = min(now + DAY_S, last)
        replay.run(window.past_between(connection, now, end), now, end, step_s)
        now = end
    return time.perf_counter() - begun


def placer(detection: Detection) -> verdicts.Place:
    """Where the subject of an alert is."""
    place = {row.sensor_id: row for row in detection.inventory.rows}

    def at(episode: Episode) -> tuple[float, float] | None:
        subject = episode.alert.subject
        row = place.get(subject.id) if subject.kind is SubjectKind.SENSOR else None
        return None if row is None or row.longitude is None or row.latitude is None else (row.longitude, row.latitude)

    return at


def _print(detection: Detection, replay: Replay, verdict: verdicts.Verdict, took: float, truth: bool) -> None:
    ready, sensors = int(np.sum(detection.knowledge.ready)), len(detection.inventory.sensor_ids)
    span = timedelta(seconds=verdict.seconds)
    speed = f"{verdict.seconds / took:,.0f} times real time"
    out = [f"{span} of {sensors} sensors ({ready} with a baseline) in {took:.1f} s: {speed}", ""]
    out += ["| rule | alerts | worst |", "|---|---|---|"]
    by_rule: dict[str, list[Episode]] = {}
    for episode in replay.book.episodes.values():
        by_rule.setdefault(episode.alert.rule, []).append(episode)
    for rule, episodes in sorted(by_rule.items()):
        out.append(f"| `{rule}` | {len(episodes)} | {min(episode.worst for episode in episodes).slug} |")
    out += ["", *verdicts.lines(verdict)] if truth else []
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
