"""A run of benchmarks as a page, and its plots as pictures.

The page is one file that asks for nothing from outside and needs no script; it follows the reader's choice of a light
or dark screen. What is shown is read off the shape of the measurements: those at places on a curve become lines, all
others bars, and everything stands in a table. So a new suite needs no code here.

Needs matplotlib: `pip install "actorio-node[bench]"`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorio.bench.report import page, pictures

if TYPE_CHECKING:
    from pathlib import Path

    from actorio.bench.results import Results


def write_html(results: Results, path: Path, *, old: Results | None = None) -> None:
    """Writes the report of a run to a file.

    Args:
        results: The run.
        path: Where to; what is there is overwritten.
        old: An older run, to which each number is compared.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_text(page.write(results, old), encoding="utf-8")


def write_pngs(results: Results, folder: Path) -> list[Path]:
    """Writes each plot of a run to two files, one for light screens and one for dark ones.

    Args:
        results: The run.
        folder: Where to; it is made if it is missing, and pictures of the same names are overwritten.

    Returns:
        The files, `<plot>-light.png` and `<plot>-dark.png`.

    Raises:
        OSError: a file cannot be written.
    """
    return pictures.write_pngs(results, folder)
