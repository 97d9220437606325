"""The report of a plan: two pages of A4 in Chinese and English, with a map, plots and the works (PDF)."""

import io
from datetime import datetime
from typing import Any

from lifeline import __version__
from lifeline.model import JsonObject
from lifeline.planning.charts import gain_bars, loss_curves, plan_map
from lifeline.planning.lettering import LATIN, markup, register_fonts
from lifeline.planning.plan import Plan

MOST_ROWS = 30
"""Works that the second page lists; the CSV has all of them."""
_NETWORKS = {"gas": "燃气", "water": "供水", "drainage": "排水", "heat": "供热", "power": "电力"}
_MARGIN, _MM, _INCH = 42.0, 72 / 25.4, 72.0


def report(plan: Plan, works: list[JsonObject], figures: JsonObject, name: str, now: datetime) -> bytes:
    """The PDF. ``name`` is the plan's own, ``now`` stands on it in its own time zone."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    register_fonts()
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4, invariant=1)
    canvas.setTitle(f"管网更新方案 Renewal plan {name}".strip())
    canvas.setAuthor(f"Lifeline {__version__}")
    width, height = A4
    _first_page(canvas, plan, works, figures, name, width, height)
    _foot(canvas, 1, now, width)
    canvas.showPage()
    _second_page(canvas, works, figures, width, height)
    _foot(canvas, 2, now, width)
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def _first_page(
    canvas: Any, plan: Plan, works: list[JsonObject], figures: JsonObject, name: str, width: float, height: float
) -> None:
    inner = width - 2 * _MARGIN
    y = height - _MARGIN
    y = _text(canvas, f"管网更新方案 Renewal plan{': ' if name else ''}{name}", 17, y, inner, bold=True) - 4
    last = figures["first_year"] + len(figures["budgets"]) - 1
    money = sum(figures["budgets"])
    y = _text(
        canvas,
        f"{figures['first_year']}–{last} 年,预算 {_money(money)} {figures['currency']}。 "
        f"{figures['first_year']} to {last}, budget {_money(money)} {figures['currency']}; "
        f"{figures['pipes']:,} pipes, {figures['length_m'] / 1000:,.1f} km.",
        9.5, y, inner,
    ) - 8  # fmt: skip
    y = _facts(canvas, figures, y, inner) - 8
    map_height = 430.0
    picture = plan_map(plan.segments, works, inner / _INCH, map_height / _INCH)
    y = _picture(canvas, picture, y, inner, map_height) - 6
    bars_width, bars_height = inner * 0.5, 190.0
    _picture(canvas, gain_bars(figures, bars_width / _INCH, bars_height / _INCH), y, bars_width, bars_height)
    _text(canvas, _verdict(figures), 9, y - 6, inner - bars_width - 12, x=_MARGIN + bars_width + 12)


def _facts(canvas: Any, figures: JsonObject, y: float, inner: float) -> float:
    """Four figures in a row."""
    mine = figures["plan"]
    facts = [
        (f"{mine['works']}", "项工程 works"),
        (f"{mine['length_m'] / 1000:,.1f} km", "更新管长 renewed"),
        (_money(mine["gain"]), f"收益 gain, {figures['currency']}"),
        (f"{figures['failures_avoided']:,.0f}", f"{figures['horizon_years']} 年少失效 failures avoided"),
    ]
    step = inner / len(facts)
    lowest = y
    for place, (value, label) in enumerate(facts):
        below = _text(canvas, value, 16, y, step - 6, x=_MARGIN + place * step, bold=True)
        lowest = min(lowest, _text(canvas, label, 8, below - 1, step - 6, x=_MARGIN + place * step, grey=True))
    return lowest


def _verdict(figures: JsonObject) -> str:
    """What the comparison says, in both languages."""
    ratio, mine = figures["ratio"], figures["plan"]

    def times(name: str) -> str:
        return "∞" if ratio[name] is None else f"{ratio[name]:.3f}"

    kept = f"{figures['kept']:.0%}"
    chinese = (
        f"同样的钱,本方案的收益是“最老优先”的 {times('oldest_first')} 倍,是“最差优先”的 {times('worst_first')} 倍。"
        f"任何方案的收益都不会超过 {_money(mine['bound'])},差距至多 {mine['gap']:.2%}。"
        f"同沟施工共节省 {_money(mine['saved_by_sharing'])}。"
    )
    english = (
        f"For the same money the plan gains {times('oldest_first')} times what “oldest first” and "
        f"{times('worst_first')} times what “worst first” gains. No plan gains more than {_money(mine['bound'])}: at "
        f"most {mine['gap']:.2%} is left. Digging networks together saves {_money(mine['saved_by_sharing'])}."
    )
    if figures["scenarios"]:
        chinese += f"造价与失效率各变动 ±20 %({figures['scenarios']} 种情形),{kept} 的资金所在工程仍被选中。"
        english += f" With costs and rates 20 % off ({figures['scenarios']} scenarios) {kept} of the money stays."
    return f"{chinese}\n\n{english}"


def _second_page(canvas: Any, works: list[JsonObject], figures: JsonObject, width: float, height: float) -> None:
    inner = width - 2 * _MARGIN
    y = height - _MARGIN
    y = _text(canvas, "预期失效损失 What failures are expected to cost", 12, y, inner, bold=True) - 4
    y = _picture(canvas, loss_curves(figures, inner / _INCH, 175 / _INCH), y, inner, 175.0) - 8
    listed = (
        f"(前 {MOST_ROWS} 项,共 {len(works)} 项 the first {MOST_ROWS} of {len(works)})"
        if len(works) > MOST_ROWS
        else ""
    )
    y = _text(canvas, f"工程清单 Works {listed}", 12, y, inner, bold=True) - 4
    y = _table(canvas, works[:MOST_ROWS], y, inner) - 8
    _text(canvas, _method(figures), 7.5, y, inner, grey=True)


def _table(canvas: Any, works: list[JsonObject], y: float, inner: float) -> float:
    from reportlab.lib import colors
    from reportlab.platypus import Table, TableStyle

    head = ("#", "年 year", "管网 network", "街道 street", "米 m", "造价 cost", "收益 gain", "风险 score", "稳 sure")
    shares = (0.045, 0.075, 0.13, 0.26, 0.075, 0.115, 0.12, 0.09, 0.09)
    rows = [[_paragraph(text, 7, inner * share, bold=True) for text, share in zip(head, shares, strict=True)]]
    for work in works:
        networks = " ".join(f"{_NETWORKS.get(each, '')} {each}".strip() for each in work["networks"])
        cells = (
            str(work["work"]), str(work["year"]), networks, work["street"] or work["assets"][0],
            f"{work['length_m']:,.0f}", f"{work['cost']:,.0f}", f"{work['gain']:,.0f}", f"{work['score']:.0f}",
            "" if work["sure"] is None else f"{work['sure']:.0%}",
        )  # fmt: skip
        rows.append([_paragraph(_cut(text), 7, inner * share) for text, share in zip(cells, shares, strict=True)])
    table = Table(rows, colWidths=[inner * share for share in shares], rowHeights=15.0)
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, 0), 0.8, colors.HexColor("#444444")),
                ("LINEBELOW", (0, 1), (-1, -1), 0.25, colors.HexColor("#dddddd")),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    _, high = table.wrapOn(canvas, inner, y)
    table.drawOn(canvas, _MARGIN, y - high)
    return float(y - high)


def _method(figures: JsonObject) -> str:
    return (
        f"收益:{figures['horizon_years']} 年内因更新而避免的失效损失,折现率 {figures['discount']:.1%};"
        "失效率随管龄增长,更新后按新管计,后果等级不变。"
        "造价与失效损失取自单价表,随附数值为本项目默认值,应以本地数据替换。"
        "“稳”:造价与失效率变动时仍被选中的情形比例。\n"
        f"Gain: the cost of failures that renewal avoids within {figures['horizon_years']} years, discounted at "
        f"{figures['discount']:.1%} a year. Failure rates grow with age and fall to a new pipe's; the class of "
        "consequence stays. Unit costs and costs of failure come from the table in use; the shipped one holds defaults "
        "of the project, to be replaced by local figures. Sure: share of the scenarios in which the work is chosen."
    )


def _foot(canvas: Any, page: int, now: datetime, width: float) -> None:
    canvas.setFont(LATIN, 7)
    canvas.setFillGray(0.45)
    canvas.drawString(_MARGIN, 24, f"Lifeline {__version__}   {now:%Y-%m-%d %H:%M %Z}")
    canvas.drawRightString(width - _MARGIN, 24, f"{page} / 2")


def _paragraph(text: str, size: float, width: float, *, bold: bool = False, grey: bool = False) -> Any:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph

    style = ParagraphStyle(
        "text", fontName=LATIN, fontSize=size, leading=size * 1.35, wordWrap="CJK",
        textColor=HexColor("#666666" if grey else "#1a1a1a"),
    )  # fmt: skip
    marked = markup(text).replace("\n", "<br/>")
    paragraph = Paragraph(f"<b>{marked}</b>" if bold else marked, style)
    paragraph.wrap(width, 10_000)
    return paragraph


def _text(
    canvas: Any, text: str, size: float, y: float, width: float, *, x: float = _MARGIN, bold: bool = False,
    grey: bool = False,
) -> float:  # fmt: skip
    """Draw text below ``y``; give where it ends."""
    paragraph = _paragraph(text, size, width, bold=bold, grey=grey)
    _, high = paragraph.wrapOn(canvas, width, 10_000)
    paragraph.drawOn(canvas, x, y - high)
    return float(y - high)


def _picture(canvas: Any, png: bytes, y: float, width: float, height: float) -> float:
    from reportlab.lib.utils import ImageReader

    canvas.drawImage(ImageReader(io.BytesIO(png)), _MARGIN, y - height, width, height)
    return y - height


def _money(value: float) -> str:
    return f"{value / 1e6:,.2f} M" if abs(value) >= 1e5 else f"{value:,.0f}"


def _cut(text: str) -> str:
    return text if len(text) <= 28 else f"{text[:27]}…"
