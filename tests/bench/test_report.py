"""Promises of `actorio.bench.report`: the page and the pictures of a run."""

import re
import struct
from html.parser import HTMLParser

import pytest
from tests.bench import samples
from tests.bench.findings import measured, run_of

from actorio.bench import cells
from actorio.bench.report import charts, ticks, write_html, write_pngs
from actorio.bench.report import page as page_module
from actorio.bench.report.markup import prose, tag
from actorio.bench.report.themes import DARK, LIGHT
from actorio.bench.results import Skipped
from actorio.bench.suite import Suite

# Elements without an end.
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Reads a page, and fails where an element is not closed, or closed twice."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


def page_of(tmp_path, results, old=None):
    path = tmp_path / "page.html"
    write_html(results, path, old=old)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def results():
    """A run of every shape, without suites whose plots look like those of others."""
    return samples.results(suites=("calls", "streams", "spawn", "memory"))


@pytest.fixture(scope="module")
def text(results, tmp_path_factory):
    """The page of a whole run, compared to an older and slower one."""
    return page_of(tmp_path_factory.mktemp("report"), results, old=samples.results(speed=0.5, seed=7))


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_the_page_is_well_formed_and_its_ids_are_unique(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for attributes in page.all("a")]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_the_page_asks_for_nothing_from_outside_and_runs_nothing(text, page):
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    for _, attributes in page.elements:
        for name in ("href", "xlink:href", "src"):
            assert attributes.get(name, "#").startswith("#")


def test_every_median_is_on_the_page(results, page):
    for each in results.measurements:
        assert cells.quantity(each.median, each.unit) in page.text


def test_ratios_and_changes_are_on_the_page(results, page):
    for cell in cells.cells(results, samples.results(speed=0.5, seed=7)):
        assert cells.ratio_text(cell.change()) in page.text
        for rival in cell.rivals:
            assert cells.ratio_text(cell.ratio(rival).median) in page.text


def test_the_page_says_what_the_numbers_belong_to(results, page):
    for word in (results.machine.processor, results.machine.python, results.machine.system, results.began):
        assert word in page.text
    assert "uvloop 0.21.0" in page.text


def test_what_was_skipped_is_named_with_its_reason(results, page):
    for each in results.skipped:
        assert f"{each.contender}: {each.reason}" in page.text


def test_there_are_colours_for_light_and_for_dark_screens(text, page):
    assert "prefers-color-scheme: dark" in text
    for theme in (LIGHT, DARK):
        assert all(f"{name}: {colour};" in text for name, colour in theme.variables.items())
    # Nothing in the drawings has a colour of its own.
    body = text[text.index("<body") :]
    assert not re.search(r"#[0-9a-fA-F]{6}\b", body)
    assert {"var(--ink)", "var(--series-0)"} <= set(re.findall(r"var\([a-z0-9-]+\)", body))


def test_colours_of_a_theme_differ_so_that_they_are_found_again():
    for theme in (LIGHT, DARK):
        assert len(set(theme.variables.values())) == len(theme.variables)


def test_tables_and_drawings_can_be_read_aloud(page):
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in attributes for attributes in page.all("th"))
    drawings = page.all("svg")
    assert drawings
    assert all(attributes["role"] == "img" for attributes in drawings)
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert all(set(attributes["aria-labelledby"].split()) <= ids for attributes in drawings)


def test_whatever_stands_in_the_results_is_escaped(tmp_path):
    evil = '<script>alert("&amp;")</script> $\\foo$'
    rows = [
        measured([1.0, 2.0], who, suite=evil, case=evil, kind=evil, metric=evil, unit=evil, at=at)
        for who in ("actorio", evil)
        for at in (None, 1, 2, 3)
    ]
    machine = samples.machine(system=evil, processor=evil, python=evil, versions={evil: evil})
    run = run_of(*rows, skipped=[Skipped(evil, evil, evil)], machine=machine, began=evil, effort=evil)
    text = page_of(tmp_path, run, old=run)
    assert "<script" not in text
    assert evil in Page(text).text
    assert len(write_pngs(run, tmp_path)) == 4


def test_an_empty_run_has_a_page_and_no_pictures(tmp_path):
    assert "Nothing was measured" in Page(page_of(tmp_path, run_of(), old=run_of())).text
    assert write_pngs(run_of(), tmp_path / "new") == []


@pytest.mark.parametrize("at", [None, 7])
def test_odd_numbers_have_a_page(tmp_path, at):
    odd = [[1.0], [0.0, 0.0], [-1.0, -2.0], [-1.0, 0.0, 1.0], [1e-30, 1e30]]
    rows = [measured(values, who, case=str(values), at=at) for values in odd for who in ("actorio", "floor")]
    # All in one plot, and each in its own.
    alone = [measured(each.values, each.contender, metric=each.case, at=at) for each in rows]
    run = run_of(*rows, *alone)
    Page(page_of(tmp_path, run, old=run))


def test_a_suite_says_its_question_and_how_to_read_it(tmp_path, monkeypatch):
    suite = Suite("calls", "How fast?", "What was done & how to read it.", measure=lambda _: iter(()))
    monkeypatch.setattr(page_module, "load_suite", {"calls": suite}.get)
    text = Page(page_of(tmp_path, run_of(measured([1.0])))).text
    assert "calls: How fast?" in text
    assert suite.about in text


def test_a_suite_that_cannot_be_imported_here_has_its_numbers_shown(tmp_path, monkeypatch):
    def missing(_):
        raise ModuleNotFoundError

    monkeypatch.setattr(page_module, "load_suite", missing)
    assert "12.3 /s" in Page(page_of(tmp_path, run_of(measured([12.3])))).text


def test_goals_stand_above_the_suites_with_what_does_not_hold_them(tmp_path):
    rows = [
        measured([79.0], case="a|b"),
        measured([100.0], "floor", case="a|b"),
        measured([9.0]),
        measured([9.0], "floor"),
    ]
    text = Page(page_of(tmp_path, run_of(*rows))).text
    assert "✗ 1 of 2" in text
    assert "a|b: 0.79x" in text
    assert text.index("a|b: 0.79x") < text.index("calls: How many")


def test_a_busy_machine_a_smoke_run_and_another_machine_are_pointed_out(tmp_path):
    run = run_of(measured([1.0]), machine=samples.machine(load=3), effort="smoke")
    old = run_of(measured([2.0]), machine=samples.machine(processor="Another"))
    text = Page(page_of(tmp_path, run, old)).text
    assert "busy" in text
    assert "its numbers say nothing" in text
    assert "on another machine" in text


def test_each_plot_is_written_for_light_and_for_dark_screens(tmp_path):
    run = samples.results(suites=("streams",))
    (chart,) = charts.charts(run)
    light, dark = write_pngs(run, tmp_path / "plots")
    assert [light.name, dark.name] == [f"{chart.name}-light.png", f"{chart.name}-dark.png"]
    sizes = [struct.unpack(">8s4s4sII", path.read_bytes()[:24])[3:] for path in (light, dark)]
    assert sizes[0] == sizes[1]
    assert min(sizes[0]) > 300
    assert light.read_bytes() != dark.read_bytes()


def test_the_shape_of_the_measurements_says_what_is_drawn():
    found = {chart.name: chart for chart in charts.charts(samples.results())}
    assert list(found)[:4] == [
        "calls-calls",
        "calls-calls-by-bytes",
        "calls-calls-by-callers-and-actors",
        "concurrency-throughput-by-max-concurrency",
    ]
    # Bars of all patterns, far apart; a panel for each, and in it a group for each kind.
    bars = found["calls-calls"]
    assert bars.is_wide
    assert [panel.title for panel in bars.panels] == list(samples.PATTERNS)
    assert [group.label for group in bars.panels[0].groups] == list(samples.KINDS)
    # Curves in a panel for each load, with a line for each kind.
    lines = found["concurrency-p99-by-max-concurrency"]
    assert (lines.along, lines.is_long) == ("max_concurrency", True)
    assert [panel.title for panel in lines.panels] == ["sleep", "http", "files", "python", "numpy", "mixed"]
    assert [line.series.label for line in lines.panels[0].lines] == ["threaded", "async"]
    assert found["calls-calls-by-bytes"].along == "bytes"
    # One mark makes no plot.
    assert not any(name.startswith("memory") for name in found)


def test_a_contender_has_one_colour_on_all_bars_and_the_floor_that_of_a_yardstick():
    run = run_of(measured([1], "ray"), measured([1]), measured([1], "floor"), measured([1], "ray", case="b"))
    (chart,) = charts.charts(run)
    colours = {series.contender: series.colour for series in chart.series}
    assert colours == {"actorio": 0, "floor": charts.NEUTRAL, "ray": 1}


def test_ticks_are_few_and_round():
    assert ticks.even(0.8) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert ticks.even(0) == [0]
    assert ticks.decades(3, 5000) == [10, 100, 1000]
    assert ticks.decades(3, 30) == [5, 10, 20]
    assert ticks.places([1, 2, 4, 8], is_size=False, is_long=False) == [1, 2, 4, 8]
    assert ticks.places(samples.PLACES, is_size=False, is_long=True) == [1, 10, 100, 1000]
    assert ticks.places([64 * 4**power for power in range(8)], is_size=True, is_long=True)[:2] == [64, 1024]
    texts = [ticks.text(0.01, "s"), ticks.text(2000, "MiB"), ticks.text(20000, "1/s"), ticks.text(3e6), ticks.text(0)]
    assert texts == ["10 ms", "2,000 MiB", "20k", "3M", "0"]


def test_names_and_words_of_weight_are_marked_in_paragraphs():
    assert prose("`a<b` is *not* 2 * 3") == "<p><code>a&lt;b</code> is <em>not</em> 2 * 3</p>"


def test_long_tables_are_folded_and_short_ones_are_not(tmp_path):
    short, long = (
        [measured([1.0], case=f"c{case}", at=at) for case in range(many) for at in (1, 2)] for many in (2, 20)
    )
    assert not Page(page_of(tmp_path, run_of(*short))).all("details")
    page = Page(page_of(tmp_path, run_of(*long)))
    assert len(page.all("details")) == 1
    assert "A table of 20 rows" in page.text


def test_bars_of_one_contender_alone_have_a_table_and_no_plot():
    alone, against = [measured([1.0]), measured([2.0], case="b")], [measured([1.0]), measured([2.0], "floor")]
    assert [len(charts.charts(run_of(*rows))) for rows in (alone, against)] == [0, 1]


def test_a_curve_of_two_places_has_a_table_and_no_plot():
    two, three = ([measured([1.0], at=at) for at in places] for places in ((1, 2), (1, 2, 3)))
    assert [len(charts.charts(run_of(*rows))) for rows in (two, three)] == [0, 1]


def test_text_in_elements_is_escaped_and_elements_are_not():
    assert tag("p", "<&>", tag("b", "x"), class_="a", aria_label='"') == (
        '<p class="a" aria-label="&quot;">&lt;&amp;&gt;<b>x</b></p>'
    )


def test_a_run_that_ended_early_says_so(tmp_path):
    text = Page(page_of(tmp_path, run_of(measured([1.0]), missing=["calls", "spawn"]))).text
    assert "ended early: not measured: calls (in part), spawn" in text
