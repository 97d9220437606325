"""`lifeline score`: alerts against what truly happened in a simulated city."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import note, out, say, table
from lifeline.cli.scoreplot import write_plot
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.scoring import AFTER_S, Line, Outcome, Score, lines, score
from lifeline.storage import truth
from lifeline.storage.database import Connection


class By(StrEnum):
    """What a line of the table is about."""

    KIND = "kind"
    SCENARIO = "scenario"
    SEED = "seed"
    DETECTOR = "detector"


def register(app: typer.Typer) -> None:
    example = "lifeline score --hours 1 --by detector --plot score.svg"
    app.command("score", epilog=f"Examples: `lifeline score`, `{example}`")(show)


def show(
    hours: Annotated[float, typer.Option(min=0.05, help="Events that began in the last hours.")] = 24,
    by: Annotated[
        By, typer.Option(help="One line for each kind, scenario, seed, or detector that was first.")
    ] = By.KIND,
    given: Annotated[
        Path | None, typer.Option("--truth", help="Truth file of the simulators; default the demo's.", dir_okay=False)
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a timeline of events and alerts as SVG.")] = None,
    each: Annotated[bool, typer.Option("--each", help="List every event too.")] = False,
    home: HomeOption = None,
) -> None:
    """Compare alerts with the truth: found, missed, false, delay, and whether place, cause and level were right.

    The truth comes from the table `truth`, to which the file is added first. Delays count from the moment from which an
    event could be seen in the data.
    """
    now, place = datetime.now(UTC), find(home)
    file = given or place.home.path / "truth.jsonl"
    with place.connection() as connection:
        if given or file.exists():
            truth.write(connection, read_truth(file), now)
        found = judge(connection, now - timedelta(hours=hours), now)
    if not found.outcomes:
        note(f"no event began in the last {hours:g} h: let the simulators play a scenario (`lifeline demo`)")
        raise typer.Exit(1)
    _show(found, by)
    if each:
        say("")
        _each(found.outcomes)
    if plot:
        write_plot(plot, found)
        note(f"wrote {plot}")


def read_truth(path: Path) -> list[JsonObject]:
    """Records of a truth file. Raises ConfigurationError that names the line."""
    records = []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip():
                record = json.loads(line)
                if not isinstance(record, dict) or not {"id", "from", "to", "kind", "scenario"} <= record.keys():
                    raise ConfigurationError(f"{path}, line {number}: not a line of the simulators' truth")
                records.append(record)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return records


def judge(connection: Connection, first: datetime, last: datetime) -> Score:
    """Events that began in ``[first, last)`` with their alerts. Alerts of earlier events are no false ones."""
    before = first - timedelta(seconds=AFTER_S)
    events = truth.between(connection, before - timedelta(days=7), last)
    whole = score(events, truth.alerts(connection, first, last))
    outcomes = [outcome for outcome in whole.outcomes if outcome.event.begin >= first.timestamp()]
    return Score(outcomes, whole.false_risk, whole.false_maintenance)


def _show(found: Score, by: By) -> None:
    columns = table(
        f"{by} 类别", "events 事件", "visible 可见", "found 发现", "missed 漏报", "delay 延迟", "longest 最长",
        "place 位置", "cause 原因", "level 等级", "first found by 首报",
    )  # fmt: skip
    for line in lines(found.outcomes, by):
        columns.add_row(*_cells(line))
    out.print(columns)
    say("")
    say(f"false risk alerts 误报 {len(found.false_risk)}, false maintenance alerts {len(found.false_maintenance)}")
    for alert in found.false_risk[:10]:
        when = datetime.fromtimestamp(alert.raised_at, UTC)
        say(f"  {when:%m-%d %H:%M:%S}Z {alert.rule} {alert.level.slug} {alert.device or alert.asset or ''}")


def _cells(line: Line) -> list[str]:
    first = ", ".join(f"{rule} {count}" for rule, count in line.rules[:3])
    return [
        line.name, f"{line.events}", f"{line.visible}", f"{line.found}", f"{line.missed}",
        duration(line.delay_median_s), duration(line.delay_longest_s), _of(line.right_place), _of(line.right_cause),
        _of(line.right_level), first or "-",
    ]  # fmt: skip


def _of(share: tuple[int, int]) -> str:
    return f"{share[0]}/{share[1]}" if share[1] else "-"


def duration(seconds: float | None) -> str:
    """For people. Negative: before it was visible by the simulators' measure."""
    if seconds is None:
        return "-"
    if abs(seconds) < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if abs(seconds) < 36_000 else f"{seconds / 3600:.0f} h"


def _each(outcomes: Sequence[Outcome]) -> None:
    columns = table("event", "kind", "began (UTC)", "visible after", "first alert after that", "by", "place", "cause")
    for outcome in outcomes:
        event = outcome.event
        visible = None if event.visible is None else event.visible - event.begin
        columns.add_row(
            event.id, event.kind, f"{datetime.fromtimestamp(event.begin, UTC):%m-%d %H:%M:%S}", duration(visible),
            duration(outcome.delay_s), _first(outcome),
            _said(outcome.right_place), _said(outcome.right_cause),
        )  # fmt: skip
    out.print(columns)


def _first(outcome: Outcome) -> str:
    return outcome.alerts[0].rule if outcome.alerts else "harmless" if outcome.event.harmless else "-"


def _said(answer: bool | None) -> str:
    return "-" if answer is None else "right" if answer else "wrong"
