"""Letters of reports: Latin from matplotlib's DejaVu Sans, Chinese from the font that ships here."""

import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

LATIN, LATIN_BOLD, CHINESE = "LifelineLatin", "LifelineLatinBold", "LifelineChinese"
_CHINESE_RUN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f]+")


def chinese_font() -> Path:
    """The file of the Chinese font (GB 2312, 1 MB)."""
    return Path(str(resources.files("lifeline.planning").joinpath("fonts", "DroidSansFallback-GB2312.ttf")))


@cache
def register_fonts() -> None:
    """Make the fonts known to reportlab, once a process."""
    import matplotlib
    from reportlab.pdfbase.pdfmetrics import registerFont, registerFontFamily
    from reportlab.pdfbase.ttfonts import TTFont

    shipped = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    registerFont(TTFont(LATIN, shipped / "DejaVuSans.ttf"))
    registerFont(TTFont(LATIN_BOLD, shipped / "DejaVuSans-Bold.ttf"))
    registerFont(TTFont(CHINESE, chinese_font()))
    registerFontFamily(LATIN, normal=LATIN, bold=LATIN_BOLD, italic=LATIN, boldItalic=LATIN_BOLD)
    registerFontFamily(CHINESE, normal=CHINESE, bold=CHINESE, italic=CHINESE, boldItalic=CHINESE)


def markup(text: str) -> str:
    """Plain text as reportlab's markup, with its Chinese in the Chinese font."""
    return _CHINESE_RUN.sub(lambda run: f'<font name="{CHINESE}">{run[0]}</font>', escape(text))


def plot_style() -> dict[Any, Any]:
    """matplotlib's settings for plots of a report: both fonts, quiet axes."""
    from matplotlib import font_manager

    font_manager.fontManager.addfont(str(chinese_font()))
    name = font_manager.FontProperties(fname=str(chinese_font())).get_name()
    return {
        "font.family": ["DejaVu Sans", name],
        "font.size": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#888888",
        "axes.labelcolor": "#333333",
        "xtick.color": "#555555",
        "ytick.color": "#555555",
        "figure.dpi": 200,
    }
