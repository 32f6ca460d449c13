"""Results are kept in a file that says its own format."""

import msgspec
import pytest
from tests.bench.findings import found, run_of, skipped

from actorio.bench.results import FORMAT, load, save


def test_what_is_saved_is_loaded(tmp_path):
    results = run_of(found(), found("size", kind="", at=64.0, better="less"), skipped=[skipped()])
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


def test_the_median_stands_for_all_and_the_quartiles_for_their_spread():
    assert (found(values=[5, 1, 2, 3, 4]).median, found(values=[5, 1, 2, 3, 4]).spread) == (3, (2, 4))
    assert found(values=[7]).spread == (7, 7)
