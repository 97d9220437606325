"""The plots of a plan's report, as PNG: where, what it gains beside plain lists, and what failures cost from now on."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from lifeline.model import JsonObject
from lifeline.planning.lettering import plot_style
from lifeline.planning.segments import Segments

PLAN, OLD, WORST, NOTHING = "#1f5fa8", "#b08d57", "#c0563b", "#9a9a9a"


def plan_map(segments: Segments, works: list[JsonObject], width_in: float, height_in: float) -> bytes:
    """All pipes in grey, those of the plan by their year."""
    latitude = float(np.mean([position[1] for line in segments.lines for position in line]))
    years = sorted({work["year"] for work in works})

    def paint(axes: Any) -> None:
        from matplotlib.collections import LineCollection

        axes.set_aspect(1.0 / max(np.cos(np.radians(latitude)), 0.05), adjustable="datalim")
        axes.add_collection(LineCollection(segments.lines, colors="#cfcfcf", linewidths=0.5))
        for year, colour in zip(years, _colours(len(years)), strict=True):
            lines = [line for work in works if work["year"] == year for line in work["lines"]]
            axes.add_collection(LineCollection(lines, colors=[colour], linewidths=2.2, label=str(year)))
        axes.autoscale_view()
        axes.axis("off")
        _scale_bar(axes, latitude)
        if years:
            axes.legend(loc="upper right", framealpha=0.9, edgecolor="none", title="年份 year")

    return _png(width_in, height_in, paint)


def gain_bars(figures: JsonObject, width_in: float, height_in: float) -> bytes:
    """What the plan and the plain lists gain for the same money."""
    names = {"plan": "本方案\nplan", "worst_first": "最差优先\nworst first", "oldest_first": "最老优先\noldest first"}
    gains = [figures[name]["gain"] / 1e6 for name in names]

    def paint(axes: Any) -> None:
        bars = axes.bar(list(names.values()), gains, color=[PLAN, WORST, OLD], width=0.6)
        axes.bar_label(bars, labels=[f"{gain:,.1f}" for gain in gains], padding=2)
        axes.set_ylabel(f"收益 gain, {figures['currency']} million")
        axes.margins(y=0.15)

    return _png(width_in, height_in, paint)


def loss_curves(figures: JsonObject, width_in: float, height_in: float) -> bytes:
    """What failures are expected to cost in each year, with nothing done, with the plan and with the plain lists."""
    curves = {
        "nothing": ("不更新 nothing", NOTHING, "--"),
        "oldest_first": ("最老优先 oldest first", OLD, "-"),
        "worst_first": ("最差优先 worst first", WORST, "-"),
        "plan": ("本方案 plan", PLAN, "-"),
    }

    def paint(axes: Any) -> None:
        for name, (label, colour, style) in curves.items():
            loss = np.array(figures["loss_by_year"][name]) / 1e6
            year = figures["first_year"] + np.arange(len(loss))
            axes.plot(year, loss, style, color=colour, label=label, linewidth=2.2 if name == "plan" else 1.3)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"损失 cost of failures,\n{figures['currency']} million a year")
        axes.legend(frameon=False)

    return _png(width_in, height_in, paint)


def _png(width_in: float, height_in: float, paint: Callable[[Any], None]) -> bytes:
    """One set of axes, painted. The Agg canvas by itself: pyplot would keep figures, and look for a screen."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    file = io.BytesIO()
    with rc_context(plot_style()):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure.add_subplot())
        figure.savefig(file, format="png", dpi=200, metadata={"Software": None})
    return file.getvalue()


def _colours(count: int) -> list[Any]:
    import matplotlib

    return [matplotlib.colormaps["viridis_r"](0.15 + 0.8 * k / max(count - 1, 1)) for k in range(count)]


def _scale_bar(axes: Any, latitude: float) -> None:
    """A bar of a round number of metres, about a fifth of the map."""
    low, high = axes.get_xlim()
    degree_m = 111_320.0 * np.cos(np.radians(latitude))
    target = (high - low) * degree_m / 5
    metres = max(step * 10**power for power in range(7) for step in (1, 2, 5) if step * 10**power <= max(target, 1))
    x, y = low + (high - low) * 0.02, axes.get_ylim()[0]
    axes.plot([x, x + metres / degree_m], [y, y], color="#333333", linewidth=2, solid_capstyle="butt")
    label = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    axes.text(x, y, f" {label}", va="bottom", color="#333333")
