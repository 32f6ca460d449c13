"""Locks between processes: one holder at a time, and a forked child is none."""

import fcntl
import os

from actorio._transport.locks import hold_lock, let_go_of_lock


def is_held(path):
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_lock_is_held_until_it_is_let_go_of(tmp_path):
    path = tmp_path / "lock"
    lock = hold_lock(path, os.O_CREAT | os.O_RDWR)
    assert is_held(path)
    let_go_of_lock(lock)
    assert not is_held(path)


def test_a_forked_child_holds_no_lock_of_its_parent(tmp_path):
    path = tmp_path / "lock"
    lock = hold_lock(path, os.O_CREAT | os.O_RDWR)
    there, back = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        os.write(there[1], b"begun")
        os.read(back[0], 1)
        os._exit(0)
    os.read(there[0], 5)
    let_go_of_lock(lock)
    was_held = is_held(path)
    os.write(back[1], b".")
    os.waitpid(child, 0)
    for end in (*there, *back):
        os.close(end)
    assert not was_held
