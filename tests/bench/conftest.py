"""What tests of the harness run under."""

from importlib.util import find_spec

import pytest


@pytest.fixture(scope="session", autouse=True)
def fonts(tmp_path_factory):
    """Has a picture drawn before anybody counts open files: matplotlib keeps those of its fonts."""
    if find_spec("matplotlib"):
        from tests.bench import samples

        from actorio.bench.report import write_pngs

        write_pngs(samples.results(suites=("streams",)), tmp_path_factory.mktemp("fonts"))
