"""What an actor takes over from its maker: paths, directory, environment, warning filters, in the same order."""

import os
import subprocess
import sys
import warnings

import pytest
from tests.programs import LONGEST_RUN_SECONDS, output_of

import actorio


class Careless(UserWarning):
    """A warning of the driver's own."""


def observer():
    """Return an actor that tells what it sees; of a class that actors need not import this module for."""

    class Observer:
        def look(self):
            # The filters as the wire would have them: patterns are objects of their own in each process.
            filters = [(f[0], getattr(f[1], "pattern", f[1]), f[2].__name__, f[4]) for f in warnings.filters]
            directory = os.getcwd()  # noqa: PTH109  # a text, as drivers ask for it
            return {"path": sys.path, "directory": directory, "environment": dict(os.environ), "filters": filters}

        def import_(self, name):
            return __import__(name).__file__

        def observe_anew(self):
            os.environ["ACTORIO_TEST_MAKER"] = "actor"
            os.chdir("/")
            sys.path.insert(0, "/made/by/an/actor")
            return actorio.get(actorio.remote(Observer).remote().look.remote())

    return actorio.remote(Observer).remote()


def filters_here():
    return [(f[0], getattr(f[1], "pattern", f[1]), f[2].__name__, f[4]) for f in warnings.filters]


def test_an_actor_sees_what_its_driver_sees(session):
    seen = actorio.get(observer().look.remote())
    assert seen["path"] == sys.path
    assert seen["directory"] == os.getcwd()  # noqa: PTH109  # as the actor asks
    assert seen["environment"] == dict(os.environ)
    assert seen["filters"] == filters_here()


def test_what_the_driver_changes_after_init_is_seen_by_later_actors_in_the_same_order(session, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path / "first")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "last")])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTORIO_TEST_NEW", "caf\u00e9 = \n")
    monkeypatch.delenv("HOME", raising=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "care.*", DeprecationWarning, "app", 7)
        warnings.simplefilter("once", ResourceWarning, append=True)
        seen = actorio.get(observer().look.remote())
        assert seen["filters"] == filters_here()
    assert seen["path"] == sys.path
    assert seen["path"][0] == str(tmp_path / "first")
    assert seen["path"][-1] == str(tmp_path / "last")
    assert seen["directory"] == str(tmp_path)
    assert seen["environment"] == dict(os.environ)


def test_an_environment_that_is_no_text_is_taken_over(session, monkeypatch):
    monkeypatch.setitem(os.environb, b"ACTORIO_TEST_BYTES", b"caf\xe9")
    assert actorio.get(observer().look.remote())["environment"]["ACTORIO_TEST_BYTES"] == "caf\udce9"


def test_a_warning_class_that_an_actor_cannot_import_does_no_harm(session):
    lost = type("Lost", (UserWarning,), {"__module__": "nowhere.to.be.found"})
    with warnings.catch_warnings():
        warnings.simplefilter("error", lost)
        assert actorio.get(observer().look.remote())["directory"]


def test_a_filter_on_a_warning_of_a_module_holds_in_the_actor(session):
    class Careful:
        def warn(self):
            warnings.warn("careful", Careless, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Careless)
        with pytest.raises(Careless):
            actorio.get(actorio.remote(Careful).remote().warn.remote())


def test_what_a_driver_has_imported_is_not_imported_by_actors_for_its_filters():
    assert output_of("""
        import warnings
        class Looker:
            def look(self): return "numpy" in sys.modules
            def use(self):
                import numpy
                return numpy.exceptions.VisibleDeprecationWarning in [entry[2] for entry in warnings.filters]
        def use(given=None):
            return Looker().use()
        with actorio.init():
            import numpy
            warnings.simplefilter("ignore", numpy.exceptions.VisibleDeprecationWarning)
            print(actorio.get(actorio.remote(Looker).remote().look.remote()))
            class Given(Looker):
                def __init__(self, array): pass
            print(actorio.get(actorio.remote(Given).remote(numpy.ones(3)).use.remote()))
            function = actorio.remote(lambda array=numpy.ones(3): Looker().use())
            print(actorio.get(function.remote()))
    """) == ["False", "True", "True"]


def test_an_actor_made_by_an_actor_sees_what_that_one_sees(session):
    seen = actorio.get(observer().observe_anew.remote())
    assert seen["environment"]["ACTORIO_TEST_MAKER"] == "actor"
    assert (seen["directory"], seen["path"][0]) == ("/", "/made/by/an/actor")


def test_a_driver_whose_directory_was_removed_makes_actors_all_the_same(session, monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert actorio.get(observer().look.remote())["path"] == sys.path


def test_a_module_beside_the_script_can_be_imported(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "helper.py").write_text(
        "class Base:\n"
        "    def where(self): return __file__\n"
        "class Helper(Base):\n"
        "    async def late(self): import helper_late; return helper_late.__name__\n"
    )
    (folder / "helper_late.py").touch()
    script = folder / "script.py"
    script.write_text(
        "import actorio, helper\n"
        "class Own(helper.Base): pass\n"
        "print(actorio.get(actorio.remote(Own).remote().where.remote()))\n"
        "print(actorio.get(actorio.remote(helper.Helper).remote().late.remote()))\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [str(folder / "helper.py"), "helper_late"]


def test_a_module_on_a_path_added_after_init_can_be_imported(session, monkeypatch, tmp_path):
    (tmp_path / "added_after_init.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert actorio.get(observer().import_.remote("added_after_init")) == str(tmp_path / "added_after_init.py")
