"""Results are kept in a file that says its own format."""

import math
import re

import msgspec
import pytest
from tests.bench.findings import found, run_of, skipped

from actorio.bench.results import FORMAT, load, save


def test_what_is_saved_is_loaded(tmp_path):
    along = {"at": 64.0, "along": "bytes"}
    results = run_of(found(values=[-1.0, 0.0]), found("size", kind="", **along, better="less"), skipped=[skipped()])
    save(results, tmp_path / "results.json")
    assert load(tmp_path / "results.json") == results


def test_a_file_of_another_format_is_refused(tmp_path):
    save(run_of(found()), tmp_path / "results.json")
    content = msgspec.json.decode((tmp_path / "results.json").read_bytes())
    (tmp_path / "results.json").write_bytes(msgspec.json.encode(content | {"format": FORMAT + 1}))
    with pytest.raises(ValueError, match=f"has format {FORMAT + 1}; this version reads {FORMAT}"):
        load(tmp_path / "results.json")


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[]", b'{"format": 1}'])
def test_what_is_no_result_is_refused_with_its_name(content, tmp_path):
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"results\.json is no result of `actorio bench`"):
        load(tmp_path / "results.json")


@pytest.mark.parametrize("values", [[], [math.nan], [1.0, math.inf], [-math.inf]])
def test_what_is_no_finite_number_is_refused_where_it_is_found(values):
    with pytest.raises(ValueError, match="calls, blocking, calls: no finite numbers, but"):
        found(values=values)


@pytest.mark.parametrize("values", ["[]", "[1.0, null]"])
def test_a_file_without_numbers_is_refused(values, tmp_path):
    save(run_of(found(values=[1.0])), tmp_path / "results.json")
    text = (tmp_path / "results.json").read_text()
    (tmp_path / "results.json").write_text(re.sub(r'"values": \[[^]]*\]', f'"values": {values}', text))
    with pytest.raises(ValueError, match=r"results\.json is no result of `actorio bench`"):
        load(tmp_path / "results.json")


@pytest.mark.parametrize("fields", [{"at": 1.0, "along": ""}, {"along": "bytes"}])
def test_a_place_on_a_curve_says_what_it_counts(fields):
    with pytest.raises(ValueError, match="come together"):
        found(**fields)


def test_the_median_stands_for_all():
    assert found(values=[5, 1, 2, 3, 4]).median == 3
