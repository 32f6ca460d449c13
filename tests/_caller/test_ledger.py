"""Who keeps a value: the holdings of several processes and the ledgers of owners, with every message under control.

The real `Holdings` and `Ledger` take part. What they say travels on connections of the test, which deliver in their
order and whenever hypothesis likes; processes die with everything that nobody has read from them yet left on its way.
"""

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actorio._caller.holdings import Holdings
from actorio._caller.ledger import Ledger, key_of, number_in, owner_in
from actorio._wire import messages as m

PROCESSES = range(4)


class Value:
    """A result: its number, and the references inside of it."""

    def __init__(self, number, inside=()):
        self.number = number
        self.inside = inside


class Process:
    """One process: what it keeps, what others have of it, and its references. Its thread runs when the test says."""

    def __init__(self, world, number):
        self.world = world
        self.path = f"/s/o{number}"
        self.is_alive = True
        self.pins = []
        self.ledger = Ledger(self.path, self.pins.append)
        self.holdings = Holdings(None, self, None)
        # Its thread is the test.
        self.holdings._is_closed = True
        # Key: what keeps the value here.
        self.references = {}

    # What `Sharing` is to `Holdings`.
    def tell(self, key, message):
        if owner_in(key) == self.path:
            self.ledger.hear(message)
        else:
            self.world.say(self, owner_in(key), message)

    def come_home(self, key, token):
        return self.ledger.come_home(key, token) if owner_in(key) == self.path else None

    def make(self, number, inside=()):
        value = Value(number, inside)
        key = self.ledger.note(value)
        self.references[key] = value
        return key

    def run_thread(self):
        while not self.holdings._gone.empty():
            self.holdings._let_go(self.holdings._gone.get())


class Frame:
    """A call on its way, with references in it."""

    def __init__(self, sender, lent):
        self.sender = sender
        self.lent = lent


class Ownership(RuleBasedStateMachine):
    """Processes make values, put references into others, send, drop and die."""

    def __init__(self):
        super().__init__()
        self.processes = {f"/s/o{number}": Process(self, number) for number in PROCESSES}
        self.numbers = iter(range(1, 10_000))
        # What is said on each connection, and the frames between processes.
        self.said = {}
        self.frames = {}
        # The tokens of the dead, until what they have sent has arrived or been lost.
        self.orphans = []
        self.values = {}

    def say(self, process, path, message):
        if self.processes[path].is_alive:
            self.said.setdefault((process.path, path), deque()).append(message)

    def living(self):
        return [process for process in self.processes.values() if process.is_alive]

    def process(self, index):
        living = self.living()
        return living[index % len(living)]

    @staticmethod
    def choose(options, index):
        return sorted(options)[index % len(options)]

    # --- what processes do --------------------------------------------------------------------------------------

    @rule(who=st.integers(0, 3))
    def make(self, who):
        process = self.process(who)
        key = process.make(next(self.numbers))
        self.values[key] = ()

    @rule(who=st.integers(0, 3), which=st.integers(0, 20), other=st.integers(0, 20))
    def nest(self, who, which, other):
        process = self.process(who)
        if process.references:
            inside = {self.choose(process.references, index) for index in (which, other)}
            key = process.make(next(self.numbers), [(each, process.references[each]) for each in inside])
            self.values[key] = tuple(inside)

    @rule(who=st.integers(0, 3), to=st.integers(0, 3), which=st.integers(0, 20))
    def send(self, who, to, which):
        process, receiver = self.process(who), self.process(to)
        if process.references and process is not receiver:
            key = self.choose(process.references, which)
            lent = process.holdings.lend([key])
            self.frames.setdefault((process.path, receiver.path), deque()).append(Frame(process, lent))

    @rule(who=st.integers(0, 3), to=st.integers(0, 3), which=st.integers(0, 20))
    def construct(self, who, to, which):
        """An actor gets a reference with its birth, while its maker keeps it until the owner has heard of that."""
        process, receiver = self.process(who), self.process(to)
        if process.references and process is not receiver:
            key = self.choose(process.references, which)
            receiver.references.update(receiver.holdings.arrived([(key, 0)]))
            self.deliver_words(receiver.path, owner_in(key))

    def deliver_words(self, speaker, path):
        said = self.said.get((speaker, path), deque())
        while said and self.processes[path].is_alive:
            self.processes[path].ledger.hear(said.popleft(), speaker)

    @rule(who=st.integers(0, 3), which=st.integers(0, 20))
    def look_into(self, who, which):
        """A process fetches a value from its owner, and so gets what is inside of it."""
        process = self.process(who)
        borrowed = [key for key in process.references if owner_in(key) != process.path]
        if borrowed:
            key = self.choose(borrowed, which)
            owner = self.processes[owner_in(key)]
            if owner.is_alive:
                value = owner.ledger.find(number_in(key))
                lent = owner.holdings.lend([inner for inner, _ in value.inside])
                self.frames.setdefault((owner.path, process.path), deque()).append(Frame(owner, lent))

    @rule(who=st.integers(0, 3), which=st.integers(0, 20))
    def drop(self, who, which):
        process = self.process(who)
        if process.references:
            del process.references[self.choose(process.references, which)]

    @rule(who=st.integers(0, 3))
    def run_thread(self, who):
        self.process(who).run_thread()

    # --- what the system does -----------------------------------------------------------------------------------

    @rule(which=st.integers(0, 20))
    def deliver_frame(self, which):
        ways = [way for way, frames in self.frames.items() if frames]
        if ways:
            way = self.choose(ways, which)
            frame = self.frames[way].popleft()
            receiver = self.processes[way[1]]
            if receiver.is_alive:
                receiver.references.update(receiver.holdings.arrived(frame.lent))
            elif frame.sender.is_alive:
                frame.sender.holdings.take_back(frame.lent)

    @rule(which=st.integers(0, 20))
    def deliver_word(self, which):
        ways = [way for way, said in self.said.items() if said]
        if ways:
            way = self.choose(ways, which)
            message = self.said[way].popleft()
            if self.processes[way[1]].is_alive:
                self.processes[way[1]].ledger.hear(message, way[0])

    @rule(which=st.integers(0, 20))
    def deliver_much(self, which):
        for step in range(8):
            self.deliver_frame(which + step)
            self.deliver_word(which + 3 * step)

    # Not at once: what could go wrong has to be there.
    @precondition(lambda self: len(self.living()) > 1 and sum(map(bool, self.said.values())) + len(self.said) > 2)
    @rule(who=st.integers(0, 3))
    def die(self, who):
        process = self.process(who)
        process.is_alive = False
        process.references.clear()
        # What it has said arrives, and then the end of its connection.
        for speaker, path in list(self.said):
            if speaker == process.path:
                self.deliver_words(speaker, path)
        for owner in self.living():
            owner.ledger.gone(process.path)
            self.orphans += [(owner, token) for token in owner.ledger.lent_by(process.path)]

    # --- what holds ---------------------------------------------------------------------------------------------

    def reachable(self):
        """Return the values that somebody alive has a reference to, directly or in a value."""
        found = set()
        todo = [key for process in self.living() for key in process.references]
        todo += [
            key
            for (_, path), frames in self.frames.items()
            for frame in frames
            for key, _ in frame.lent
            if self.processes[path].is_alive
        ]
        while todo:
            key = todo.pop()
            if key not in found:
                found.add(key)
                # What is in a value of a dead process is lost with it.
                if self.processes[owner_in(key)].is_alive:
                    todo += self.values[key]
        return {key for key in found if self.processes[owner_in(key)].is_alive}

    @invariant()
    def nothing_is_freed_early(self):
        for key in self.reachable():
            owner = self.processes[owner_in(key)]
            assert owner.ledger.find(number_in(key)) is not None, f"{key} is gone"

    @invariant()
    def an_owner_is_told_when_the_first_is_kept_and_the_last_is_not(self):
        for process in self.living():
            assert process.pins == [index % 2 == 0 for index in range(len(process.pins))]
            assert process.ledger.is_empty() == (len(process.pins) % 2 == 0)

    def settle(self):
        """Let everything arrive, and every thread run."""
        while True:
            for process in self.living():
                process.run_thread()
            if not any(self.frames.values()) and not any(self.said.values()):
                break
            while any(self.frames.values()):
                self.deliver_frame(0)
            while any(self.said.values()):
                self.deliver_word(0)
        # A minute has passed since the last death.
        for owner, token in self.orphans:
            owner.ledger.hear(m.Unlend(token))

    def teardown(self):
        """Nothing is kept that nobody can reach; and when all have dropped everything, nothing at all."""
        self.settle()
        kept = {key for process in self.living() for key in process.ledger._kept}
        assert kept <= self.reachable()
        for process in self.living():
            process.references.clear()
        # A value that goes may have kept others, which go after it.
        for _ in range(len(self.values) + 1):
            self.settle()
        for process in self.living():
            assert process.ledger.is_empty()
            holders = process.ledger._holders
            assert not any((holders._held, holders._lent, holders._travelling, holders._early))


Ownership.TestCase.settings = settings(stateful_step_count=60)
TestOwnership = Ownership.TestCase


def test_what_has_gone_cannot_be_held():
    ledger = Ledger("/s/o1", lambda _: None)
    ledger.hear(m.Hold(key_of("/s/o1", 7), 3), "peer")
    ledger.hear(m.Lend(key_of("/s/o1", 7), 4), "peer")
    assert ledger.is_empty()
    assert not ledger._holders._held
