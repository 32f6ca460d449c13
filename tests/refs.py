"""Actors that keep references, pass them on and drop them; apart from their tests, which import more than they need."""

import os
import signal
import time

import actorio


@actorio.remote
class Keeper:
    """Keeps what it is given, references among it."""

    def __init__(self, *kept):
        self.kept = {"made with": kept}

    def pid(self):
        return os.getpid()

    def keep(self, name, value):
        self.kept[name] = value

    def drop(self, name):
        self.kept.pop(name)

    def value_of(self, name):
        return actorio.get(self.kept[name])

    def give(self, name):
        return self.kept[name]

    def pass_on(self, name, other):
        return actorio.get(other.keep.remote(name, self.kept[name]))

    def make(self, value):
        """Return a reference to a value that is this actor's own."""
        return [actorio.put(value)]

    def make_and_keep(self, name, value):
        self.kept[name] = [actorio.put(value)]

    def sum_of(self, refs):
        return sum(actorio.get(refs))

    def die_with_results_unread(self, other):
        """Call another actor for references, and die before they are read."""
        for _ in range(5):
            other.make.remote("v")
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)

    def owns_anything(self):
        # The class travels by value, which must not take this along.
        from actorio._caller.pending import HERE

        ledger = HERE.holdings._values._ledger
        return ledger is not None and not ledger.is_empty()
