"""What actors print and log: whole lines at the driver, in order, none lost, and records that keep their level."""

import fcntl
import logging
import os
import re
import signal
import subprocess
import sys
import time
import warnings

import psutil
import pytest
from tests.programs import SHUTDOWN_SECONDS, finish, output_of, run, start, wait_until

import actorio
from actorio.exceptions import ActorDiedError

LINE = re.compile(r"\((?P<name>\w+) pid=(?P<pid>\d+)\) (?P<text>.*)")

# An actor that runs what it is told; `pid` is there for the prefix.
TELLER = """
    import contextlib

    class Teller:
        def pid(self):
            return os.getpid()

        def do(self, function, *arguments):
            return function(*arguments)

    teller = actorio.remote(Teller).remote()
    do = teller.do.remote
"""


def texts(stream, name="Teller"):
    """Return what one actor wrote; every line must be an actor's, and the same one's."""
    lines = [LINE.fullmatch(line) for line in stream.split("\n")[:-1]]
    assert all(lines), stream[-2000:]
    assert {line["name"] for line in lines} <= {name}
    assert len({line["pid"] for line in lines}) <= 1
    return [line["text"] for line in lines]


def tell(text, **options):
    """Run a program with the actor; return what it wrote to each stream, as the driver showed it."""
    code, output, errors = run(TELLER + text, **options)
    assert code == 0, errors
    return texts(output), texts(errors)


# -- lines ---------------------------------------------------------------------------------------------------------


def test_each_stream_keeps_its_lines_and_says_whose_they_are(capsys):
    class Printer:
        def print(self):
            print("to stdout")
            print("to stderr", file=sys.stderr)
            return os.getpid()

    with actorio.init():
        pid = actorio.get(actorio.remote(Printer).remote().print.remote())
    assert capsys.readouterr() == (f"(Printer pid={pid}) to stdout\n", f"(Printer pid={pid}) to stderr\n")


def test_output_goes_where_the_streams_lead_at_that_moment(capsys, monkeypatch, tmp_path):
    class Printer:
        def print(self, text):
            print(text)

    path = tmp_path / "output"
    with actorio.init():
        printer = actorio.remote(Printer).remote()
        with path.open("w") as file, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", file)
            actorio.get(printer.print.remote("first"))
            assert wait_until(lambda: "first" in path.read_text())
        actorio.get(printer.print.remote("second"))
    assert "second" not in path.read_text()
    assert "second" in capsys.readouterr().out


@pytest.mark.parametrize("end", ["", "sys.exit()", "os._exit(0)"])
def test_no_line_is_lost_when_an_actor_ends(end):
    output, errors = tell(f"""
    def print_many():
        for number in range(10_000):
            print(number)
            print("error", number, file=sys.stderr)
        {end}
    actorio.wait([do(print_many)])
    """)
    assert output == [str(number) for number in range(10_000)]
    assert errors == [f"error {number}" for number in range(10_000)]


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="pipes have one size here")
def test_lines_that_are_read_after_the_end_still_say_whose_they_are(capsys):
    class Printer:
        def pid(self):
            return os.getpid()

        def print(self):
            # All of it fits into the pipe, so that the actor ends while nobody reads.
            fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)
            for number in range(50_000):
                print(number)
            os._exit(0)

    with actorio.init() as context:
        node = context.address_info["node_pid"]
        printer = actorio.remote(Printer).remote()
        pid = actorio.get(printer.pid.remote())
        os.kill(node, signal.SIGSTOP)
        ref = printer.print.remote()
        assert wait_until(lambda: not psutil.pid_exists(pid))
        os.kill(node, signal.SIGCONT)
        actorio.wait([ref])
    assert capsys.readouterr().out == "".join(f"(Printer pid={pid}) {number}\n" for number in range(50_000))


def test_no_line_is_lost_when_the_driver_ends_first():
    output, _ = tell("""
    do(lambda: [print(number) for number in range(10_000)])
    actorio.get(do(print, "last"))
    """)
    assert output == [*map(str, range(10_000)), "last"]


def test_a_last_line_without_an_end_is_shown_at_exit():
    output, errors = tell("""
    actorio.wait([do(lambda: (print("no end", end=""), print("error", end="", file=sys.stderr), sys.exit()))])
    """)
    assert (output, errors) == (["no end"], ["error"])


def test_a_last_line_without_an_end_is_shown_at_shutdown():
    assert tell("""
    actorio.get(do(lambda: print("no end", end="")))
    """)[0] == ["no end"]


def test_what_was_flushed_is_shown_though_the_process_ends_at_once():
    output, _ = tell("""
    with contextlib.suppress(actorio.exceptions.ActorDiedError):
        actorio.get(do(lambda: (print("flushed", end="", flush=True), os._exit(1))))
    """)
    assert output == ["flushed"]


def test_what_was_flushed_is_shown_though_the_process_is_killed():
    output, _ = tell("""
    with contextlib.suppress(actorio.exceptions.ActorDiedError):
        actorio.get(do(lambda: (print("line"), os.kill(os.getpid(), signal.SIGKILL))))
    """)
    assert output == ["line"]


def test_a_line_written_in_pieces_stays_one():
    output, _ = tell("""
    def write():
        for letter in "a line\\nand another\\n":
            sys.stdout.write(letter)
            sys.stdout.flush()
    actorio.get(do(write))
    """)
    assert output == ["a line", "and another"]


def test_lines_of_several_actors_do_not_mix():
    code, output, errors = run(
        TELLER
        + """
    def write(letter):
        for _ in range(500):
            os.write(1, letter.encode() * 10)
            os.write(1, letter.encode() * 10 + b"\\n")
    tellers = [teller, *[actorio.remote(Teller).remote() for _ in range(3)]]
    actorio.get([one.do.remote(write, letter) for one, letter in zip(tellers, "abcd")])
    """
    )
    assert (code, errors) == (0, "")
    lines = [LINE.fullmatch(line) for line in output.splitlines()]
    assert sorted(line["text"] for line in lines) == sorted([letter * 20 for letter in "abcd"] * 500)
    assert len({(line["pid"], line["text"]) for line in lines}) == 4


def test_what_c_code_and_child_processes_write_is_shown_in_order():
    output, errors = tell("""
    def write():
        print("python")
        os.write(1, b"descriptor\\n")
        subprocess.run(["echo", "child"], check=True)
        os.system("echo shell; echo shell error >&2")
        print("python again")
    actorio.get(do(write))
    """)
    assert output == ["python", "descriptor", "child", "shell", "python again"]
    assert errors == ["shell error"]


def test_bytes_that_are_no_text_are_shown_escaped():
    output, _ = tell(
        """
    def write():
        os.write(1, b"caf\\xe9 \\xff\\n")
        print("surrogate \\udcff", "caf\\u00e9")
    actorio.get(do(write))
    """,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert output == [r"caf\xe9 \xff", r"surrogate \udcff café"]


def test_text_that_the_drivers_stream_cannot_encode_does_not_silence_what_follows():
    output, _ = tell(
        """
    actorio.get(do(print, "caf\\u00e9"))
    actorio.get(do(print, "plain"))
    """,
        encoding="latin-1",
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert output[-1] == "plain"
    assert output[0].startswith("caf")


def test_carriage_returns_stay_within_their_line():
    process = start(
        TELLER
        + """
    actorio.get(do(os.write, 1, b"10%\\r20%\\r\\nnext\\n"))
    """,
        text=False,
    )
    output = process.communicate()[0]
    assert output.count(b"pid=") == 2
    assert b"10%\r20%\r\n" in output


def test_a_very_long_line_stays_one():
    assert tell("""
    actorio.get(do(print, "x" * 900_000))
    """)[0] == ["x" * 900_000]


def test_of_a_line_without_end_nothing_is_lost():
    output, _ = tell("""
    actorio.get(do(lambda: (print("x" * 2_500_000, end=""), print("end"))))
    """)
    assert sum(map(len, output)) == 2_500_003
    assert "".join(output) == "x" * 2_500_000 + "end"


def test_empty_lines_are_lines():
    code, output, _ = run(
        TELLER
        + """
    actorio.get(do(print, "\\n\\n"))
    """
    )
    assert code == 0
    assert [line.partition(") ")[2] for line in output.splitlines()] == ["", "", ""]


def test_the_end_of_a_session_waits_for_what_was_printed(capsys):
    class Printer:
        def print(self, count):
            for number in range(count):
                print(number)

    with actorio.init():
        actorio.get(actorio.remote(Printer).remote().print.remote(5_000))
    assert texts(capsys.readouterr().out, "Printer") == [str(number) for number in range(5_000)]


def test_an_actor_that_prints_without_end_does_not_hold_up_the_end(capsys, leaks):
    class Printer:
        def print(self):
            while True:
                print("x" * 100)

    actorio.init()
    actorio.remote(Printer).remote().print.remote()
    captured = []
    assert wait_until(lambda: captured.append(capsys.readouterr().out) or any(captured))
    began = time.monotonic()
    actorio.shutdown()
    assert time.monotonic() - began < SHUTDOWN_SECONDS
    assert leaks() == []


def test_a_driver_that_does_not_read_its_own_output_still_gets_its_results():
    # The pipe that the driver prints to is full long before.
    process = start(
        TELLER
        + """
    for _ in range(20):
        actorio.get(do(lambda: print("x" * 100_000)))
    sys.stderr.write("called")
    sys.stderr.flush()
    """
    )
    assert process.stderr.read(6) == "called"
    code, output, errors = finish(process)
    assert (code, errors) == (0, "")
    assert texts(output) == ["x" * 100_000] * 20


def test_nothing_is_shown_where_it_is_not_wanted():
    lines = output_of(
        """
    actorio.init(log_to_driver=False)
    """
        + TELLER
        + """
    import logging
    actorio.get([do(print, "line"), do(os.write, 2, b"error"), do(logging.warning, "record")])
    print("driver's own")
    """
    )
    assert lines == ["driver's own"]


def test_a_driver_without_streams_calls_its_actors_all_the_same():
    code, output, errors = run(
        TELLER
        + """
    out, sys.stdout, sys.stderr = sys.stdout, None, None
    actorio.get([do(print, "line"), do(os.write, 2, b"error")])
    actorio.shutdown()
    out.write("called")
    """
    )
    assert (code, output, errors) == (0, "called", "")


def test_names_are_coloured_on_a_terminal_only():
    ours, theirs = os.openpty()
    process = start(
        TELLER
        + """
    print(actorio.get([teller.pid.remote(), do(print, "line")])[0])
    """,
        stdout=theirs,
    )
    os.close(theirs)
    finish(process)
    output = b""
    try:
        while data := os.read(ours, 1024):
            output += data
    except OSError:
        # How Linux tells that the terminal's other end is closed.
        pass
    finally:
        os.close(ours)
    assert re.search(rb"\033\[36m\(Teller pid=\d+\)\033\[0m line\r\n", output)


def test_a_constructors_words_are_shown(capsys):
    class Printer:
        def __init__(self):
            print("in the constructor")
            raise LookupError

        def nothing(self):
            pass

    with actorio.init(), pytest.raises(ActorDiedError):
        actorio.get(actorio.remote(Printer).remote().nothing.remote())
    assert texts(capsys.readouterr().out, "Printer") == ["in the constructor"]


# -- logging -------------------------------------------------------------------------------------------------------


class Failing:
    """Logs as it is told."""

    def __init__(self, prepare=None):
        if prepare is not None:
            prepare()

    def log(self, name, level, *message, **options):
        logging.getLogger(name).log(level, *message, **options)
        return os.getpid()

    def fail(self):
        try:
            raise LookupError("nothing there")
        except LookupError:
            logging.getLogger("app").exception("failed")


def logger_class():
    """Return the class as one of no module, so that actors need not import this one."""

    class Logger:
        __init__, log, fail = Failing.__init__, Failing.log, Failing.fail

    return actorio.remote(Logger)


def test_a_record_keeps_its_logger_level_place_and_extras(caplog):
    caplog.set_level(logging.DEBUG)
    with actorio.init():
        pid = actorio.get(logger_class().remote().log.remote("app.part", 10, "%s of %s", 1, 2, extra={"user": 3}))
    (record,) = [record for record in caplog.records if record.name == "app.part"]
    assert (record.levelno, record.levelname, record.process) == (logging.DEBUG, "DEBUG", pid)
    assert record.getMessage() == f"(Logger pid={pid}) 1 of 2"
    assert record.filename == "test_output.py"
    assert record.user == 3


def test_an_extra_that_cannot_travel_is_shown_by_its_repr(caplog):
    with actorio.init():
        extra = {"path": object, "count": 1, "ratio": 0.5, "flag": True, "nothing": None}
        actorio.get(logger_class().remote().log.remote("app", logging.WARNING, "text", extra=extra))
    (record,) = [record for record in caplog.records if record.name == "app"]
    assert (record.path, record.count, record.ratio) == (repr(object), 1, 0.5)
    assert (record.flag, record.nothing) == (True, None)


def test_a_logged_exception_brings_its_traceback(caplog):
    with actorio.init():
        actorio.get(logger_class().remote().fail.remote())
    (record,) = [record for record in caplog.records if record.name == "app"]
    assert record.levelno == logging.ERROR
    assert "failed\nTraceback (most recent call last)" in record.getMessage()
    assert record.getMessage().endswith("LookupError: nothing there")


def test_a_percent_sign_in_a_record_is_only_a_percent_sign(caplog):
    with actorio.init():
        actorio.get(logger_class().remote().log.remote("app", logging.WARNING, "100 %s {} %d"))
    assert caplog.records[-1].getMessage().endswith("100 %s {} %d")


def test_levels_of_the_driver_decide_what_is_shown(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(logging.getLogger("app.quiet"), "level", logging.ERROR)
    with actorio.init():
        logger = logger_class().remote()
        for name in ("app", "app.quiet"):
            for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
                actorio.get(logger.log.remote(name, level, "text"))
    shown = [(record.name, record.levelname) for record in caplog.records if record.name.startswith("app")]
    assert shown == [("app", "INFO"), ("app", "WARNING"), ("app", "ERROR"), ("app.quiet", "ERROR")]


def test_a_library_that_adds_a_null_handler_is_heard(caplog):
    def log(_):
        logger = logging.getLogger("library")
        logger.addHandler(logging.NullHandler())
        logger.warning("text")

    with actorio.init():
        actorio.get(logger_class().remote().__ray_call__.remote(log))
    assert [record.levelname for record in caplog.records if record.name == "library"] == ["WARNING"]


def test_records_reach_the_handlers_and_formats_of_the_driver():
    code, output, errors = run(
        TELLER
        + """
    import logging
    logging.basicConfig(format="%(levelname)s|%(name)s|%(message)s", level=logging.INFO, stream=sys.stdout)
    actor = actorio.remote(Teller).remote()
    actorio.get(actor.do.remote(lambda: logging.getLogger("app").info("text")))
    """
    )
    assert (code, errors) == (0, "")
    assert re.fullmatch(r"INFO\|app\|\(Teller pid=\d+\) text\n", output)


def test_a_record_without_any_handler_is_shown_as_logging_does():
    code, output, errors = run(
        TELLER
        + """
    import logging
    actorio.get(do(logging.getLogger("app").warning, "text"))
    """
    )
    assert (code, output) == (0, "")
    assert re.fullmatch(r"\(Teller pid=\d+\) text\n", errors)


def test_an_actor_that_configures_logging_itself_gets_what_it_configured(caplog, capsys):
    def configure():
        logging.basicConfig(format="own %(levelname)s %(message)s", stream=sys.stdout)

    with actorio.init():
        pid = actorio.get(logger_class().remote(configure).log.remote("app", logging.WARNING, "text"))
    assert capsys.readouterr().out == f"(Logger pid={pid}) own WARNING text\n"
    assert not [record for record in caplog.records if record.name == "app"]


def test_records_arrive_in_the_order_of_the_log(caplog):
    def log_many(_):
        for number in range(1_000):
            logging.getLogger("app").warning(str(number))

    with actorio.init():
        actorio.get(logger_class().remote().__ray_call__.remote(log_many))
    numbers = [record.getMessage().rpartition(" ")[2] for record in caplog.records if record.name == "app"]
    assert numbers == [str(number) for number in range(1_000)]


def test_a_record_logged_right_before_the_end_is_not_lost(caplog):
    def log_and_end(_):
        logging.getLogger("app").critical("last words")
        os._exit(0)

    with actorio.init():
        actorio.wait([logger_class().remote().__ray_call__.remote(log_and_end)])
    assert [record.levelname for record in caplog.records if record.name == "app"] == ["CRITICAL"]


# -- warnings ------------------------------------------------------------------------------------------------------


def test_a_warning_in_an_actor_is_shown_on_the_drivers_stderr():
    _, errors = tell("""
    import warnings
    actorio.get(do(lambda: warnings.warn("careful")))
    """)
    assert errors[0].endswith("UserWarning: careful")


def test_a_warning_that_the_driver_ignores_is_not_shown():
    output, errors = tell("""
    import warnings
    warnings.simplefilter("ignore")
    actor = actorio.remote(Teller).remote()
    actorio.get(actor.do.remote(lambda: warnings.warn("careful")))
    """)
    assert (output, errors) == ([], [])


def test_a_warning_that_is_an_error_to_the_driver_is_one_in_its_actors():
    class Careful:
        def warn(self):
            warnings.warn("careful", UserWarning, stacklevel=1)

    with actorio.init(), pytest.raises(UserWarning, match="careful"):
        actorio.get(actorio.remote(Careful).remote().warn.remote())


def test_captured_warnings_of_an_actor_are_records_of_the_driver(caplog):
    def warn(_):
        logging.captureWarnings(True)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("careful", UserWarning, stacklevel=1)

    with actorio.init():
        actorio.get(logger_class().remote().__ray_call__.remote(warn))
    (record,) = [record for record in caplog.records if record.name == "py.warnings"]
    assert (record.levelname, "careful" in record.getMessage()) == ("WARNING", True)


# -- what standard streams are -------------------------------------------------------------------------------------


def test_an_actor_has_nothing_to_read_on_its_standard_input(session):
    class Reader:
        def read(self):
            return sys.stdin.read(), subprocess.run(["cat"], check=True, capture_output=True).stdout

    assert actorio.get(actorio.remote(Reader).remote().read.remote()) == ("", b"")
