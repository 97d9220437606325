"""The after-action report as a PDF, Chinese and English, on A4. Needs the extra ``planning`` (reportlab, fonts)."""

import io
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from typing import Any

from lifeline import __version__
from lifeline.drills.words import EVENTS, HAPPENINGS, LEVELS, NETWORKS, STEPS, VERDICTS
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject

MOST_LINES = 150
"""Lines of the timeline that are printed; the JSON has all of them."""
_MARGIN = 42.0
_RED, _GREY = "#b00020", "#666666"


def after_action_report(report: JsonObject, title: str, zone: tzinfo, now: datetime) -> bytes:
    """The PDF of a report (``lifeline.drills.review``); times stand in ``zone``. Raises ConfigurationError where the
    extra is missing."""
    try:
        from reportlab.lib.pagesizes import A4
        from reportlab.platypus import SimpleDocTemplate

        from lifeline.planning.lettering import register_fonts

        register_fonts()
    except ImportError as error:
        raise ConfigurationError(
            f"the PDF needs the extra `planning` (pip install 'lifeline[planning]'): {error}"
        ) from error
    file = io.BytesIO()
    made = SimpleDocTemplate(
        file, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN,
        title=f"演练总结 After-action report: {title}", author=f"Lifeline {__version__}", invariant=1,
    )  # fmt: skip
    width = A4[0] - 2 * _MARGIN
    foot = f"Lifeline {__version__}   {now.astimezone(zone):%Y-%m-%d %H:%M %Z}   演练 EXERCISE"
    made.build(
        list(_content(report, title, zone, width)),
        onFirstPage=lambda canvas, page: _foot(canvas, page, foot),
        onLaterPages=lambda canvas, page: _foot(canvas, page, foot),
    )
    return file.getvalue()


def _content(report: JsonObject, title: str, zone: tzinfo, width: float) -> Iterator[Any]:
    yield _line("演练 EXERCISE", 11, bold=True, colour=_RED)
    yield _line(f"演练总结 After-action report: {title}", 16, bold=True, after=4)
    yield _line(
        f"{_when(report['began_at'], zone, '%Y-%m-%d %H:%M:%S')} – {_when(report['ended_at'], zone, '%H:%M:%S %Z')}",
        9,
        after=8,
    )
    yield _line(_summary(report["figures"]), 9.5, after=6)
    yield _line("改进建议 What to change", 12, bold=True, before=6)
    if not report["findings"]:
        yield _line("没有:全部发现、全部按时。 Nothing: all was found, and all in time.", 9)
    for number, finding in enumerate(report["findings"], 1):
        yield _line(f"{number}. {finding['zh']}\n{finding['en']}", 9, after=3)
    for heading, columns, rows in _tables(report, zone):
        yield _line(heading, 12, bold=True, before=8)
        yield _table([name for name, _ in columns], rows, [share for _, share in columns], width)


def _tables(report: JsonObject, zone: tzinfo) -> Iterator[tuple[str, list[tuple[str, int]], list[tuple[Any, ...]]]]:
    """Heading, columns with their shares of the width, and rows of each table."""
    yield (
        "真实与发现 Truth and what was found",
        [
            ("事件 event", 16),
            ("管网 network", 12),
            ("位置 place", 18),
            ("可见 visible", 14),
            ("延迟 delay", 12),
            ("等级 level", 12),
            ("判断 right", 16),
        ],
        [_event_row(event, zone) for event in report["events"]],
    )
    yield (
        "人员时限 Clocks of people",
        [
            ("预警 alert", 24),
            ("等级 level", 10),
            ("步骤 step", 22),
            ("队伍 team", 14),
            ("用时 took", 10),
            ("时限 due", 10),
            ("结果 result", 10),
        ],
        [_clock_row(clock) for clock in report["clocks"]],
    )
    yield (
        "队伍与任务 Teams and tasks",
        [
            ("队伍 team", 20),
            ("任务 task", 34),
            ("步骤 step", 14),
            ("用时 took", 10),
            ("时限 due", 10),
            ("结果 result", 12),
        ],
        [row for team in report["teams"] for row in _task_rows(team)],
    )
    yield (
        "时间线 Timeline",
        [("时间 time", 14), ("什么 what", 30), ("何处 where", 34), ("谁 who", 22)],
        [_happening(each, zone) for each in report["timeline"][:MOST_LINES]],
    )


def _summary(figures: JsonObject) -> str:
    answer = "–" if figures["mean_answer_s"] is None else f"{figures['mean_answer_s']:.0f} s"
    return (
        f"事件 {figures['events']},发现 {figures['found']},漏报 {figures['missed']},误报 {figures['false_alerts']};"
        f"需响应 {figures['handled']},步骤按时 {figures['clocks_in_time']},超时 {figures['clocks_late']};"
        f"任务按时 {figures['tasks_in_time']}/{figures['tasks']};平均接报用时 {answer}。\n"
        f"{figures['events']} events, {figures['found']} found, {figures['missed']} missed, "
        f"{figures['false_alerts']} false alerts; {figures['handled']} to respond to, {figures['clocks_in_time']} "
        f"steps in time, {figures['clocks_late']} late; {figures['tasks_in_time']} of {figures['tasks']} tasks in "
        f"time; answered after {answer} on average."
    )


def _event_row(event: JsonObject, zone: tzinfo) -> tuple[Any, ...]:
    answers = ((event["right_place"], "位置"), (event["right_cause"], "原因"), (event["right_level"], "等级"))
    said = [f"{zh} {'✓' if right else '✗'}" for right, zh in answers if right is not None]
    delay = "漏报 missed" if event["missed"] else "–" if event["delay_s"] is None else _seconds(event["delay_s"])
    return (
        _kind(event), NETWORKS.get(event["network"], event["network"]), event["asset"] or "",
        _when(event["visible_from"], zone), delay, _level(event["level"]), " ".join(said),
    )  # fmt: skip


def _clock_row(clock: JsonObject) -> tuple[Any, ...]:
    way = f"{_step(clock['from'])} → {'…' if clock['to'] is None else _step(clock['to'])}"
    return (
        f"{clock['place']} {(clock['title'] or {}).get('zh', '')}".strip(), _level(clock["level"]), way,
        clock["team"] or "–", _seconds(clock["took_s"]), _seconds(clock["due_s"]), _verdict(clock["verdict"]),
    )  # fmt: skip


def _task_rows(team: JsonObject) -> Iterator[tuple[Any, ...]]:
    name = f"{team['name']} {team['department']}".strip()
    for task in team["tasks"]:
        if not task["events"]:
            yield (name, task["text"], _step(task["step"]), "–", "–", "未练到 not tried")
        for each in task["events"]:
            yield (
                name, task["text"], _step(task["step"]), _seconds(each["took_s"]), _seconds(each["due_s"]),
                _verdict(each["verdict"]),
            )  # fmt: skip


def _happening(each: JsonObject, zone: tzinfo) -> tuple[Any, ...]:
    zh, en = HAPPENINGS.get(each["what"]) or STEPS.get(each["what"], (each["what"], each["what"]))
    title = _kind(each) if "kind" in each else (each.get("title") or {}).get("zh", "")
    who = " · ".join(filter(None, (each.get("actor", ""), each.get("team", ""))))
    where = each.get("place", "") or (f"#{each['alert']}" if "alert" in each else "")
    return (_when(each["at"], zone), f"{zh} {en} {title}".strip(), where, who)


def _kind(event: JsonObject) -> str:
    return " ".join(EVENTS.get(event["kind"], (event["kind"],)))


def _level(level: str | None) -> str:
    return "–" if level is None else " ".join(LEVELS[level])


def _step(step: str) -> str:
    return " ".join(STEPS[step])


def _verdict(verdict: str) -> str:
    return " ".join(VERDICTS[verdict])


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f} s" if abs(value) < 600 else f"{value / 60:.0f} min"


def _when(text: str | None, zone: tzinfo, form: str = "%H:%M:%S") -> str:
    return "–" if text is None else format(datetime.fromisoformat(text).astimezone(zone), form)


def _line(
    text: str, size: float, *, bold: bool = False, colour: str = "#1a1a1a", before: float = 0, after: float = 2
) -> Any:  # fmt: skip
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph

    from lifeline.planning.lettering import LATIN, markup

    style = ParagraphStyle(
        "line", fontName=LATIN, fontSize=size, leading=size * 1.4, wordWrap="CJK", textColor=HexColor(colour),
        spaceBefore=before, spaceAfter=after,
    )  # fmt: skip
    marked = markup(text).replace("\n", "<br/>")
    return Paragraph(f"<b>{marked}</b>" if bold else marked, style)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], shares: Sequence[float], width: float) -> Any:
    from reportlab.lib import colors
    from reportlab.platypus import Table, TableStyle

    if not rows:
        return _line("无 none", 9, colour=_GREY)
    cells = [[_line(text, 7, bold=True) for text in head]]
    cells += [[_line(str(text), 7) for text in row] for row in rows]
    whole = sum(shares)
    table = Table(cells, colWidths=[width * share / whole for share in shares], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, 0), 0.8, colors.HexColor("#444444")),
                ("LINEBELOW", (0, 1), (-1, -1), 0.25, colors.HexColor("#dddddd")),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
            ]
        )
    )
    return table


def _foot(canvas: Any, page: Any, text: str) -> None:
    from lifeline.planning.lettering import LATIN

    canvas.saveState()
    width, _ = canvas._pagesize
    line = _line(text, 7, colour=_GREY)
    line.wrapOn(canvas, width - 4 * _MARGIN, 12)
    line.drawOn(canvas, _MARGIN, 22)
    canvas.setFont(LATIN, 7)
    canvas.setFillGray(0.45)
    canvas.drawRightString(width - _MARGIN, 24, str(page.page))
    canvas.restoreState()
