"""Driver programs in processes of their own, for what a test cannot do to the process that it runs in itself.

A program is a text, so that it stands beside what is expected of it; what they all begin with is `PRELUDE`.
"""

import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import psutil

# Where the suite runs in the background, programs inherit that Ctrl-C is ignored.
PRELUDE = (
    "import os, signal, subprocess, sys, threading, time\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "import actorio\n"
)

# A program that takes longer than this hangs.
LONGEST_RUN_SECONDS = 60

# What `shutdown` and the exit of the interpreter promise, in seconds, and what a busy machine may add.
SHUTDOWN_SECONDS = 2.0 + 0.5

ROOT = Path(__file__).resolve().parent.parent


def start(text, /, *arguments, **options):
    """Start a program; its streams are pipes and texts unless `options` of Popen say otherwise."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | {"text": True, "cwd": ROOT}
    # From 3.12 on Python warns of any fork in a process with threads; programs here fork on purpose.
    fork_is_meant = ["-W", "ignore:This process:DeprecationWarning"]
    command = [sys.executable, *fork_is_meant, "-c", PRELUDE + dedent(text), *map(str, arguments)]
    return subprocess.Popen(command, **pipes | options)


def finish(process):
    """Wait for the end of a program; return its exit code, output and errors."""
    try:
        output, errors = process.communicate(timeout=LONGEST_RUN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    return process.returncode, output, errors


def run(text, /, *arguments, **options):
    """Run a program to its end; return its exit code, output and errors."""
    return finish(start(text, *arguments, **options))


def output_of(text, /, *arguments, **options):
    """Run a program that ends well without a word on stderr; return the lines of its output."""
    code, output, errors = run(text, *arguments, **options)
    assert (code, errors) == (0, ""), f"exit code {code}\n{output}\n{errors}"
    return output.splitlines()


def wait_until(condition, timeout=10.0):
    """Wait for something that no event tells of; return whether it came to be."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def is_gone(pid):
    """Has a process ended? When whoever adopted it takes note is not our affair."""
    try:
        process = psutil.Process(int(pid))
        # Its files are open as long as one of its threads is still ending.
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.NoSuchProcess:
        return True
