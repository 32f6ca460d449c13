"""The node is stopped, by a debugger or by SIGSTOP: nothing that need not wait for it does."""

import os
import signal

import pytest
from tests.programs import SHUTDOWN_SECONDS, finish, output_of, start

import actorio
from actorio._caller import link

SHORT = 0.3


@pytest.mark.parametrize("load", ["", "fill()"])
def test_shutdown_does_not_wait_for_a_stopped_node(load):
    output = output_of(f"""
    class Keeper:
        def keep(self, value):
            pass

    def fill():
        # Handles that travel are lent, and the node is told: until its socket takes no more.
        def lend():
            try:
                while True:
                    sent.append(keeper.keep.remote([keeper]))
            except actorio.exceptions.RaySystemError:
                "The session has ended."
        sent = []
        threading.Thread(target=lend, daemon=True).start()
        before = -1
        while len(sent) != before:
            before = len(sent)
            time.sleep(0.5)

    node = actorio.init().address_info["node_pid"]
    keeper = actorio.remote(Keeper).remote()
    actorio.get(keeper.keep.remote(1))
    os.kill(node, signal.SIGSTOP)
    {load}
    began = time.monotonic()
    actorio.shutdown()
    print(time.monotonic() - began)
    """)
    assert float(output[0]) < SHUTDOWN_SECONDS


def test_a_session_whose_node_is_stopped_is_not_joined(monkeypatch):
    monkeypatch.setattr(link, "_START_TIMEOUT", SHORT)
    process = start("""
    info = actorio.init().address_info
    print(info["node_pid"], info["address"], flush=True)
    sys.stdin.read()
    os.kill(info["node_pid"], signal.SIGCONT)
    """)
    pid, address = process.stdout.readline().split()
    os.kill(int(pid), signal.SIGSTOP)
    for wanted in (address, "auto"):
        with pytest.raises(TimeoutError, match=f"the node of the session {address}: it has not answered for {SHORT} s"):
            actorio.init(wanted)
    assert finish(process)[0] == 0
