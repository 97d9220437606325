"""The report of a plan: two pages, both languages, every Chinese letter that it needs."""

import io
import re
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from lifeline.planning.charts import gain_bars, loss_curves, plan_map
from lifeline.planning.documents import summary, works_of
from lifeline.planning.lettering import chinese_font, markup
from lifeline.planning.plan import Plan
from lifeline.planning.report import report
from tests.unit.test_renewal_plan import plan_of, town

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(town(3, 5), 2e6, 2e6, scenarios=2)


def test_the_report_has_two_pages_and_both_fonts_inside(plan: Plan) -> None:
    pdf = report(plan, works_of(plan, 2027), summary(plan, 2027), "老城 old town", NOW)
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 2
    assert b"DroidSansFallback" in pdf
    assert b"DejaVuSans" in pdf
    assert pdf.count(b"/Subtype /Image") >= 3
    assert len(pdf) < 2_000_000


def test_the_same_plan_gives_the_same_report_byte_for_byte(plan: Plan) -> None:
    one, other = (report(plan, works_of(plan, 2027), summary(plan, 2027), "", NOW) for _ in range(2))
    assert one == other


def test_a_plan_without_works_has_a_report_too() -> None:
    empty = plan_of(town(3, 2), 0.0)
    assert b"%%EOF" in report(empty, [], summary(empty, 2027), "", NOW)


def test_hostile_names_stay_letters(plan: Plan) -> None:
    works = works_of(plan, 2027)
    works[0]["street"] = '<b>&"</b></para>' * 5
    assert b"%%EOF" in report(plan, works, summary(plan, 2027), "<font size='900'>x", NOW)


def test_the_font_has_every_letter_that_the_source_writes() -> None:
    from lifeline.planning import charts
    from lifeline.planning import report as report_module

    letters = TTFont(chinese_font()).getBestCmap()
    assert len(letters) > 6_700
    assert chinese_font().stat().st_size < 3_000_000
    for module in (charts, report_module):
        assert module.__file__ is not None
        chinese = set(re.findall(r"[\u4e00-\u9fff]", Path(module.__file__).read_text(encoding="utf-8")))
        assert chinese
        assert {letter for letter in chinese if ord(letter) not in letters} == set()


def test_chinese_runs_are_set_in_the_chinese_font_and_markup_is_none() -> None:
    assert markup("长江路 <Rd>") == '<font name="LifelineChinese">长江路</font> &lt;Rd&gt;'


def test_each_plot_is_a_picture_of_its_size(plan: Plan) -> None:
    figures = summary(plan, 2027)
    for png in (
        plan_map(plan.segments, works_of(plan, 2027), 4, 3),
        gain_bars(figures, 4, 3),
        loss_curves(figures, 4, 3),
    ):
        assert png.startswith(b"\x89PNG")
        assert int.from_bytes(png[16:20], "big") == 800
        assert int.from_bytes(png[20:24], "big") == 600
        assert len(set(zlib.decompress(_data(png))[:200_000])) > 3


def _data(png: bytes) -> bytes:
    """The compressed pixels of a PNG."""
    file, found = io.BytesIO(png[8:]), b""
    while length := file.read(4):
        kind, body = file.read(4), file.read(int.from_bytes(length, "big"))
        file.read(4)
        found += body if kind == b"IDAT" else b""
    return found
