"""Charts as pictures: SVG for the page, PNG for files."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from actorio.bench.report import charts
from actorio.bench.report.drawing import draw
from actorio.bench.report.themes import DARK, LIGHT

if TYPE_CHECKING:
    from pathlib import Path

    from actorio.bench.report.charts import Chart
    from actorio.bench.results import Results

# What an SVG would say about itself, the time and addresses included.
_SILENT = dict.fromkeys(("Creator", "Date", "Format", "Type"))

# A dollar in a name begins no formula.
_PLAIN: dict[Any, Any] = {"text.parse_math": False}

_DOTS_PER_INCH = 144
_PIXELS = 1.42


def svg(chart: Chart, *, is_narrow: bool) -> str:
    """Draws a chart as an `<svg>` to be put into a page.

    Its colours are the page's variables, so that it changes with the page; its text is text, in the page's font.
    """
    out = io.StringIO()
    # The ids in a picture are made of its name: no two pictures of a page share one, and a run gives the same twice.
    with mpl.rc_context({**_PLAIN, "svg.fonttype": "none", "svg.hashsalt": f"{chart.name} {is_narrow}"}):
        draw(chart, LIGHT, is_narrow=is_narrow).savefig(out, format="svg", metadata=_SILENT)
    return _tidy(out.getvalue())


def _tidy(text: str) -> str:
    """Keeps of an SVG file what a page needs."""
    opening, rest = text[text.index("<svg") :].split(">", 1)
    # In a page, one unit of the drawing is never more than so many pixels.
    width = float(opening.split('viewBox="0 0 ')[1].split()[0]) * _PIXELS
    opening = re.sub(r' (xmlns(:xlink)?|version|width|height)="[^"]*"', "", opening)
    text = f'{opening} style="max-width: {width:.0f}px">{rest}'
    # Groups are numbered alike in all pictures, and nothing refers to them.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    # The page says which font, and how lines are joined.
    text = re.sub(r" font-family: [^;\"]*;", "", text)
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    for name, colour in LIGHT.variables.items():
        text = text.replace(colour, f"var({name})")
    return re.sub(r"\s+", " ", text)


def write_pngs(results: Results, folder: Path) -> list[Path]:
    """Writes each plot of a run to two files, for light and for dark screens."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for chart in charts.charts(results):
        for theme in (LIGHT, DARK):
            path = folder / f"{chart.name}-{theme.name}.png"
            with mpl.rc_context(_PLAIN):
                figure = draw(chart, theme, is_narrow=False)
                figure.savefig(path, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
            written.append(path)
    return written
