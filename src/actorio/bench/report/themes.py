"""The colours of the report, on light paper and on dark. Pure.

The series' colours are those of Okabe and Ito, which people who are blind to some colours can tell apart; on dark paper
they are lighter.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """One set of colours, as #rrggbb; no two are the same, so that each can be found again in a picture.

    Attributes:
        name: "light" or "dark".
        ink: Text.
        quiet: Text of less weight.
        rule: Lines between things.
        series: For contenders and kinds; the last is for the floor.
    """

    name: str
    paper: str
    panel: str
    ink: str
    quiet: str
    rule: str
    link: str
    series: tuple[str, ...]

    @property
    def variables(self) -> dict[str, str]:
        """The colours by the names of the page's variables."""
        plain = {name: getattr(self, name) for name in ("paper", "panel", "ink", "quiet", "rule", "link")}
        return {f"--{name}": colour for name, colour in plain.items()} | {
            f"--series-{place}": colour for place, colour in enumerate(self.series)
        }


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    panel="#f5f6f8",
    ink="#1b1f24",
    quiet="#57606a",
    rule="#d5d9df",
    link="#0a5ca8",
    series=("#0072b2", "#d55e00", "#009e73", "#aa4499", "#b88600", "#3a9bdc", "#882255", "#8b939c"),
)

DARK = Theme(
    name="dark",
    paper="#14171c",
    panel="#1d2128",
    ink="#e8eaee",
    quiet="#a3abb6",
    rule="#3a414b",
    link="#7cc0ff",
    series=("#56b4e9", "#ff9248", "#2fcf9f", "#dd8fc4", "#f0d24a", "#9ad1f5", "#e57aa6", "#7f8894"),
)
