"""Rows of the PDF of a drill: what stands in each cell, in both languages and in the city's own time."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lifeline.drills import document
from lifeline.drills.document import after_action_report
from lifeline.drills.words import title_of, told
from lifeline.errors import ConfigurationError
from simulators.kinds import KINDS
from tests.unit import test_drill_report_worked as worked

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 22, 6, 40, tzinfo=UTC)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return worked.made()


def tables(report: dict[str, Any]) -> dict[str, list[tuple[Any, ...]]]:
    return {heading: rows for heading, _, rows in document._tables(report, SHANGHAI)}


def test_events_stand_with_their_delay_and_what_was_right(report: dict[str, Any]) -> None:
    assert tables(report)["真实与发现 Truth and what was found"] == [
        ("爆管 burst", "供水", "W-P7", "14:00:40", "30 s", "红色 red", "位置 ✓ 原因 ✓ 等级 ✓"),
        ("燃气泄漏 gas leak", "燃气", "G-V3", "14:06:00", "12 min", "橙色 orange", "位置 ✓ 原因 ✗ 等级 ✓"),
    ]


def test_clocks_stand_with_their_deadline_and_verdict(report: dict[str, Any]) -> None:
    rows = tables(report)["人员时限 Clocks of people"]
    assert rows[1] == (
        "W-P7 泵站路 爆管",
        "红色 red",
        "已确认 confirmed → 已派单 dispatched",
        "供水抢修 Water crew",
        "470 s",
        "300 s",
        "超时 late",
    )
    assert rows[3][2:] == (
        "已到场 on site → …",
        "–",
        "15 min",
        "120 min",
        "未到期 not due yet",
    )
    assert rows[6][5] == "–"


def test_tasks_stand_by_team_also_those_that_nothing_called_for(report: dict[str, Any]) -> None:
    rows = tables(report)["队伍与任务 Teams and tasks"]
    assert rows[0] == (
        "供水抢修 Water crew 供水公司 Waterworks",
        "关阀 Close the valve",
        "已到场 on site",
        "14 min",
        "15 min",
        "按时 in time",
    )
    assert rows[-1] == (
        "值班 Duty",
        "排涝 Pump out",
        "已到场 on site",
        "–",
        "–",
        "未练到 not tried",
    )


def test_the_timeline_says_when_what_where_and_who(report: dict[str, Any]) -> None:
    rows = tables(report)["时间线 Timeline"]
    assert rows[:5] == [
        ("14:00:30", "事件发生 event begins 爆管 burst", "W-P7", ""),
        ("14:00:40", "数据可见 visible in the data 爆管 burst", "W-P7", ""),
        ("14:01:10", "发出预警 alert 爆管", "W-P7 泵站路", ""),
        ("14:01:40", "已签收 acknowledged", "W-P7 泵站路", ""),
        ("14:02:10", "已确认 confirmed", "#1", "ann · 值班 Duty"),
    ]


def test_every_column_has_a_share_and_every_row_as_many_cells(report: dict[str, Any]) -> None:
    for heading, columns, rows in document._tables(report, SHANGHAI):
        assert all(share > 0 for _, share in columns), heading
        assert {len(row) for row in rows} == {len(columns)}, heading


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.0, "0 s"), (599.4, "599 s"), (600.0, "10 min"), (-30.0, "-30 s"), (7200.0, "120 min")],
)
def test_spans_are_short_to_read(seconds: float | None, text: str) -> None:
    assert document._seconds(seconds) == text


def test_a_missed_event_says_so_in_the_place_of_its_delay(report: dict[str, Any]) -> None:
    event = {**report["events"][0], "missed": True, "found": False, "delay_s": None, "level": None}
    row = document._event_row(event, SHANGHAI)
    assert row[4:6] == ("漏报 missed", "–")
    unseen = {**event, "missed": False, "visible_from": None, "network": "heat"}
    row = document._event_row(unseen, SHANGHAI)
    assert (row[1], row[3], row[4]) == ("heat", "–", "–")


def test_the_summary_gives_the_same_figures_in_both_languages(report: dict[str, Any]) -> None:
    chinese, english = document._summary(report["figures"]).split("\n")
    assert chinese == ("事件 2,发现 2,漏报 0,误报 1;需响应 3,步骤按时 3,超时 2;任务按时 2/4;平均接报用时 60 s。")
    assert english == (
        "2 events, 2 found, 0 missed, 1 false alerts; 3 to respond to, 3 steps in time, 2 late; "
        "2 of 4 tasks in time; answered after 60 s on average."
    )
    nobody = document._summary({**report["figures"], "mean_answer_s": None})
    assert "平均接报用时 –" in nobody


def test_the_foot_is_readable_and_the_head_names_the_zone(report: dict[str, Any]) -> None:
    """Letters that a font lacks are drawn as boxes: each letter must come in a font that has it."""
    from reportlab.pdfbase import pdfmetrics

    written = drawn(report)
    assert any("14:30:00 CST" in text for _, text in written)
    foot = [(font, text) for font, text in written if "Lifeline" in text or text == "演练"]
    assert len(foot) >= 2
    for font, text in written:
        known = pdfmetrics.getFont(font).face.charToGlyph
        assert [letter for letter in text if ord(letter) not in known] == [], (font, text)


def drawn(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Font and words of all that is drawn in a report."""
    from reportlab.pdfgen.textobject import PDFTextObject

    written: list[tuple[str, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        plain = PDFTextObject._formatText

        def heard(text_object: Any, text: str) -> Any:
            written.append((text_object._fontname, text))
            return plain(text_object, text)

        patch.setattr(PDFTextObject, "_formatText", heard)
        after_action_report(report, "burst", SHANGHAI, NOW)
    return written


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_event_has_a_name_in_both_languages(kind: str) -> None:
    title = title_of(kind)
    assert any("\u4e00" <= letter <= "\u9fff" for letter in title["zh"])
    assert title["en"].isascii()
    assert "_" not in title["en"]


def test_a_kind_that_nobody_named_goes_by_its_own_name() -> None:
    assert title_of("meteor") == {"zh": "meteor", "en": "meteor"}
    zh, en = told({"kind": "event_missed", "what": "meteor", "place": "G-1"})
    assert zh.startswith("未发现:meteor G-1。")
    assert en.startswith("Missed: meteor G-1. ")


def test_a_long_drill_makes_more_pages_and_no_endless_timeline(report: dict[str, Any]) -> None:
    short = after_action_report(report, "chain-burst-gas", SHANGHAI, NOW)
    line = report["timeline"][4]
    long = {**report, "timeline": [line] * 2000, "clocks": report["clocks"] * 30}
    whole = after_action_report(long, "chain-burst-gas", SHANGHAI, NOW)
    assert whole.count(b"/Type /Page\n") > short.count(b"/Type /Page\n") >= 2
    most = after_action_report({**long, "timeline": [line] * document.MOST_LINES}, "chain-burst-gas", SHANGHAI, NOW)
    assert whole.count(b"/Type /Page\n") == most.count(b"/Type /Page\n")


def test_without_the_extra_the_error_says_what_to_install(
    report: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "reportlab.platypus", None)
    with pytest.raises(ConfigurationError, match=r"lifeline\[planning\]"):
        after_action_report(report, "burst", SHANGHAI, NOW)
