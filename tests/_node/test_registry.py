import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from actorio._model.certificate import DeathCertificate
from actorio._model.restarts import RestartBudget, RestartPolicy
from actorio._node import instructions as do
from actorio._node import registry as registry_module
from actorio._node.registry import Registry
from actorio._node.spec import Spec

CODES = st.sampled_from([0, 1, 255, -9, -11, -15])
NAMES = st.sampled_from(["", "", "bob", "eve"])
NAMESPACES = st.sampled_from(["here", "there"])
# Why somebody is asked to end, with time to clean up.
SOFT = {"stopped", "shutdown", "out_of_scope", "owner_died"}
DRIVER = "actorio.kill() in the driver (pid 1)"


# -- what a person would write down --------------------------------------------------------------------------------


class Peer:
    """A process that is connected to the node: a driver, or an actor's process."""

    def __init__(self, peer, life=None, pid=0):
        self.peer = peer
        self.life = life
        self.pid = pid
        self.is_running = True

    def __repr__(self):
        return self.peer


class Life:
    """One actor that was asked for: *asked*, then perhaps *starting*, *alive*, *waiting*, and *dead* in the end."""

    def __init__(self, number, owner, held, **facts):
        self.owner = owner
        self.driver = owner.peer if owner.life is None else owner.life.driver
        actor_id = f"{number:032x}"
        budget = RestartBudget(facts.pop("max_restarts"))
        identity = f"identity {number}".encode()
        self.spec = Spec(
            actor_id, "Account", f"/{number}", owner.peer, 1, self.driver, budget, 0.0, identity=identity, **facts
        )
        self.spec.held = tuple(each.spec.actor_id for each in held)
        self.held = held
        self.name = (self.spec.namespace, self.spec.name) if self.spec.name else None
        self.max_restarts, self.used = budget.max_restarts, 0
        self.state, self.pid = "asked", 0
        self.is_unwanted = False
        self.deaths = []
        self.begin()

    def begin(self):
        # Of one process: why it ends, first come first served, and what it was told.
        self.cause = None
        self.is_killed = self.is_told = self.is_overdue = False

    def __repr__(self):
        return f"{self.spec.actor_id[-4:]} {self.state}"

    @property
    def is_living(self):
        return self.state in {"starting", "alive", "waiting"}

    @property
    def comes_back(self):
        return not self.is_unwanted and (self.max_restarts == -1 or self.used < self.max_restarts)

    def is_to_end(self, cause):
        self.is_unwanted = True
        self.cause = self.cause or cause


class Creation:
    """A creation that has to be answered."""

    def __init__(self, asker, life, gets_existing):
        self.asker, self.life, self.gets_existing = asker, life, gets_existing
        self.is_answered = False


class Question:
    """A question about a death; *moot* when its asker has gone."""

    def __init__(self, asker, life):
        self.asker, self.life = asker, life
        self.state = "open"


class Travel:
    """A handle on its way: what its sender says of it and what its receiver says reach the node in any order."""

    def __init__(self, life, sender, receiver):
        self.life, self.sender, self.receiver = life, sender, receiver
        self.is_lent = self.is_over = False


class Model(RuleBasedStateMachine):
    """A registry, the node's shell that does what it returns, and the processes of a session.

    The shell hears of a process's end twice, as the node does, in either order: from the zygote, whose news come in
    the order in which they happened, and from the connection, which ends when all that was sent on it was heard.
    """

    def __init__(self):
        super().__init__()
        self.registry = Registry(lambda: 0.5)
        self.now = 100.0
        # Of those that take many actors with them there are few, so that something is left.
        self.numbers = self.disasters = 0
        self.lives, self.names = {}, {}
        self.peers = [Peer("driver a"), Peer("driver b")]
        # What the zygote was asked for, what it has to tell, and whose connections are about to end.
        self.forks, self.news = [], []
        self.creations, self.questions, self.travels = {}, {}, {}
        # How many reasons each peer has to keep each actor.
        self.holds = {}

    # -- helpers ---------------------------------------------------------------------------------------------------

    def next_number(self):
        self.numbers += 1
        return self.numbers

    def tick(self):
        self.now += 0.25
        return self.now

    def some_life(self, data):
        # The dead are many, and little can happen to them.
        return data.draw(st.sampled_from((data.draw(st.integers(0, 5)) and self.living()) or [*self.lives.values()]))

    def some_peer(self, data):
        return data.draw(st.sampled_from(self.peers))

    def some_hold(self, data):
        return data.draw(st.sampled_from(self.held()))

    def some_process(self, data):
        return data.draw(st.sampled_from(self.processes()))

    def held(self):
        return [key for key, count in self.holds.items() if count]

    def processes(self):
        return [peer for peer in self.peers if peer.pid]

    def running(self):
        return [peer for peer in self.processes() if peer.is_running]

    def closing(self):
        return [peer for peer in self.processes() if not peer.is_running]

    def unheard(self):
        return [token for token, each in self.travels.items() if not each.is_lent]

    def arriving(self):
        return [token for token, each in self.travels.items() if not each.is_over and each.receiver in self.peers]

    def lost(self):
        gone = [token for token, each in self.travels.items() if not each.is_over and each.receiver not in self.peers]
        return [token for token in gone if self.travels[token].sender in self.peers]

    def living(self):
        return [life for life in self.lives.values() if life.is_living]

    def is_kept(self, life):
        return (
            any(count for (kept, _), count in self.holds.items() if kept is life)
            or any(life in other.held for other in self.living())
            or any(each.is_lent and not each.is_over and each.life is life for each in self.travels.values())
        )

    def settle(self):
        """Finds out who is to end by now: whose owner has gone, and whom nobody keeps."""
        for life in self.living():
            if not life.is_unwanted and not life.spec.is_detached:
                if life.owner not in self.peers:
                    life.is_to_end("owner_died")
                elif not self.is_kept(life):
                    life.is_to_end("out_of_scope")

    # -- the node's shell ------------------------------------------------------------------------------------------

    def perform(self, instructions):
        self.answered = set()
        for each in instructions:
            getattr(self, f"do_{type(each).__name__.lower()}")(each)

    def do_fork(self, each):
        life = self.lives[each.actor_id]
        assert life.state in {"asked", "waiting"}
        assert not life.is_unwanted
        assert life.owner in self.peers or life.spec.is_detached
        if life.state == "asked":
            self.holds[life, life.owner] = 1
            if life.name:
                assert life.name not in self.names
                self.names[life.name] = life
        life.state = "starting"
        self.forks.append(life)

    def do_forklater(self, each):
        life = self.lives[each.actor_id]
        assert life.state == "waiting"
        assert each.delay >= 0

    def do_kill(self, each):
        (life,) = [life for life in self.living() if life.pid == each.pid]
        assert life.is_killed
        life.is_told = True
        self.die(each.pid, -9)

    def do_end(self, each):
        life = self.lives[each.actor_id]
        assert (life.state, life.pid, life.is_unwanted) == ("alive", each.pid, True)
        life.is_told = True

    def do_answer(self, each):
        question = self.questions[each.number]
        assert question.state == "open"
        assert question.asker is each.asker
        question.state = "answered"
        if each.certificate is None:
            assert question.life.is_living
            return
        assert each.certificate.actor_id == question.life.spec.actor_id
        self.answered.add(question.life)

    def do_made(self, each):
        creation = self.creations[each.number]
        assert not creation.is_answered
        assert creation.asker is each.asker
        assert each.actor_id == creation.life.spec.actor_id
        creation.is_answered = True
        life, holder = creation.life, self.names.get(creation.life.name)
        if life.state != "asked":
            assert (each.identity, each.error) == (b"", "")
        elif creation.asker not in self.peers:
            # Nobody hears of it, but what was made for the actor is let go.
            assert each.error or each.identity
        elif creation.gets_existing:
            assert (each.identity, each.error) == (holder.spec.identity, "")
        else:
            assert not each.identity
            assert repr(life.spec.name) in each.error

    def do_happened(self, each):
        life = self.lives[each.actor_id]
        if each.kind == "started":
            assert life.state == "starting"
            life.state, life.pid = "alive", each.pid
            return
        assert each.driver == life.driver
        assert each.was_answered == (life in self.answered)
        self.check_certificate(life, each)
        life.deaths.append((self.now, each.certificate))
        if each.kind == "restarting":
            assert life.comes_back
            life.state, life.pid = "waiting", 0
            life.used += 1
            life.begin()
        else:
            # It was buried before, and its heirs have come after.
            assert (each.kind, life.state) == ("died", "dead")

    def check_certificate(self, life, each):
        found = each.certificate
        assert (found.actor_id, found.class_name, found.name) == (life.spec.actor_id, "Account", life.spec.name)
        assert (found.pid, found.max_restarts) == (life.pid, life.max_restarts)
        assert found.pid == each.pid
        assert found.cause == life.cause
        assert found.will_restart == (each.kind == "restarting")
        assert found.restarts == life.used + found.will_restart
        assert found.restarts_left == (None if life.max_restarts < 0 else life.max_restarts - found.restarts)

    def do_bury(self, each):
        life = self.lives[each.actor_id]
        assert life.is_living
        assert each.address == life.spec.address
        assert not life.comes_back
        life.state = "dead"
        if life.name:
            assert self.names.pop(life.name) is life
        self.holds = {(kept, peer): count for (kept, peer), count in self.holds.items() if kept is not life}
        self.settle()

    # -- processes -------------------------------------------------------------------------------------------------

    def die(self, pid, code):
        for peer in self.peers:
            if peer.pid == pid and peer.is_running:
                peer.is_running = False
                self.news.append(("exited", pid, code))

    @precondition(lambda self: self.forks)
    @rule(works=st.sampled_from([True, True, True, False]))
    def the_zygote_forks(self, works):
        life = self.forks.pop(0)
        if not works:
            self.news.append(("failed", life, None))
            return
        pid = 1000 + self.next_number()
        self.peers.append(Peer(f"process {pid}", life, pid))
        self.news.append(("forked", life, pid))

    @precondition(lambda self: self.news)
    @rule()
    def the_zygotes_news_is_heard(self):
        kind, subject, value = self.news.pop(0)
        getattr(self, f"hear_{kind}")(subject, value)

    @precondition(lambda self: self.forks or self.news)
    @rule()
    def all_that_was_asked_for_is_forked_and_heard_of(self):
        while self.forks or self.news:
            if self.forks:
                self.the_zygote_forks(works=True)
            if self.news:
                self.the_zygotes_news_is_heard()

    def hear_forked(self, life, pid):
        was_killed, was_told = life.is_killed, life.is_told
        self.perform(self.registry.forked(life.spec.actor_id, pid, self.tick()))
        assert life.pid == pid
        if was_killed:
            assert any(news[:2] == ("exited", pid) for news in self.news)
        elif life.is_unwanted and not was_told:
            assert life.is_told

    def hear_failed(self, life, _):
        is_reason = life.cause is None
        life.cause = life.cause or "not_started"
        comes_back = life.comes_back
        self.perform(self.registry.fork_failed(life.spec.actor_id, "no memory", self.tick()))
        assert life.state == ("waiting" if comes_back else "dead")
        assert (life.deaths[-1][1].detail == "no memory") is is_reason

    def hear_exited(self, pid, code):
        (life,) = [life for life in self.living() if life.pid == pid]
        if life.cause in SOFT and code not in {0, -15} and not life.is_overdue:
            # It has died of something else before it did as it was asked.
            life.cause = None
        has_code = life.cause is None
        life.cause = life.cause or ("signal" if code < 0 else "exit")
        comes_back = life.comes_back
        self.perform(self.registry.exited(pid, code, ["last words"], self.tick()))
        assert life.state == ("waiting" if comes_back else "dead")
        _, certificate = life.deaths[-1]
        assert certificate.stderr_tail == ["last words"]
        assert certificate.code == (abs(code) if has_code else 0)

    @precondition(running)
    @rule(data=st.data(), code=CODES, is_heard=st.booleans())
    def a_process_ends(self, data, code, is_heard):
        peer = data.draw(st.sampled_from(self.running()))
        self.die(peer.pid, code)
        while is_heard and self.news:
            self.the_zygotes_news_is_heard()

    @precondition(closing)
    @rule(data=st.data())
    def the_connection_of_an_ended_process_ends(self, data):
        self.hang_up(data.draw(st.sampled_from(self.closing())))

    @precondition(lambda self: self.disasters < 3)
    @rule(data=st.data())
    def a_driver_ends_and_another_one_comes(self, data):
        self.disasters += 1
        self.hang_up(data.draw(st.sampled_from([peer for peer in self.peers if not peer.pid])))
        self.peers.append(Peer(f"driver {self.next_number()}"))

    def hang_up(self, peer):
        self.flush(peer)
        self.peers.remove(peer)
        self.holds = {(life, holder): count for (life, holder), count in self.holds.items() if holder is not peer}
        self.settle()
        self.perform(self.registry.peer_gone(peer.peer, "it has ended", self.tick()))
        for question in self.questions.values():
            if question.asker is peer and question.state == "open":
                question.state = "moot"
        for creation in self.creations.values():
            # Whoever asked hears no more; the actor may come to be only if it needs no owner.
            if creation.asker is peer and not creation.life.spec.is_detached:
                creation.is_answered = True

    @precondition(lambda self: self.disasters < 3)
    @rule()
    def the_zygote_is_lost(self):
        self.disasters += 1
        for peer in self.peers:
            peer.is_running = peer.is_running and not peer.pid
        # Nobody is left to tell of these; another zygote is there for the forks to come.
        self.forks.clear()
        self.news.clear()
        expected = {}
        for life in self.living():
            if life.state != "waiting":
                life.cause = life.cause or "zygote_lost"
                expected[life] = life.comes_back
        self.perform_all_died()
        for life, comes_back in expected.items():
            assert life.deaths
            # One that comes back may have lost its last reason to with another that does not.
            assert life.state == "dead" or (comes_back and life.state == "waiting")

    def perform_all_died(self):
        instructions = self.registry.all_died("zygote_lost", "pid 2", self.tick())
        gone = {life.pid for life in self.living()}
        # Of those that have died with the zygote, some lose their last reason while the registry goes through them.
        self.perform([each for each in instructions if not (isinstance(each, do.End) and each.pid in gone)])

    def dawdling(self):
        return [life for life in self.living() if life.is_told and life.cause in SOFT and life.state == "alive"]

    @precondition(dawdling)
    @rule(data=st.data())
    def it_does_not_end_in_time(self, data):
        life = data.draw(st.sampled_from(self.dawdling()))
        self.registry.overdue(life.pid)
        life.is_overdue = True
        self.die(life.pid, -9)

    @precondition(processes)
    @rule(data=st.data(), cause=st.sampled_from(["constructor", "exit_actor"]))
    def it_says_why_it_ends(self, data, cause):
        peer = self.some_process(data)
        life = peer.life
        is_its_process = life.pid == peer.pid or ("forked", life, peer.pid) in self.news
        if life.state == "starting" and not is_its_process and life.deaths[-1][1].pid != peer.pid:
            # By the time one more process was asked for, all that this one had said was heard.
            return
        certificate = DeathCertificate(life.spec.actor_id, "Account", peer.pid, cause, detail="why")
        self.registry.said_farewell(certificate)
        if life.is_living and is_its_process and (life.cause is None or cause == "constructor"):
            life.is_told = life.is_unwanted = True
            life.cause = cause

    # -- what people want ------------------------------------------------------------------------------------------

    @rule(
        data=st.data(),
        name=NAMES,
        namespace=NAMESPACES,
        gets_existing=st.booleans(),
        is_detached=st.booleans(),
        max_restarts=st.sampled_from([0, 1, 2, -1]),
    )
    def create(self, data, name, namespace, gets_existing, is_detached, max_restarts):
        asker = self.some_peer(data)
        held = [life for life, holder in self.held() if holder is asker and data.draw(st.booleans())]
        number = self.next_number()
        facts = {"name": name, "namespace": namespace, "is_detached": is_detached, "max_restarts": max_restarts}
        life = Life(number, asker, held, **facts)
        self.lives[life.spec.actor_id] = life
        holder = self.names.get(life.name)
        self.creations[number] = Creation(asker, life, gets_existing)
        instructions = self.registry.create(asker, number, life.spec, gets_existing=gets_existing)
        self.perform(instructions)
        assert (life.state == "starting") == (holder is None)
        if holder is not None:
            assert self.creations[number].is_answered == (not holder.is_unwanted)

    def owned(self):
        return [life for life in self.lives.values() if life.state != "asked" and life.owner in self.peers]

    @precondition(owned)
    @rule(data=st.data())
    def create_again(self, data):
        """Whoever has made an actor has not heard that it was made."""
        life = data.draw(st.sampled_from(self.owned()))
        number = self.next_number()
        made = self.registry.create(life.owner, number, life.spec)
        assert made == [do.Made(life.owner, number, life.spec.actor_id, b"", "")]
        if life.is_living:
            self.holds[life, life.owner] = self.holds.get((life, life.owner)) or 1

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), may_restart=st.booleans())
    def kill(self, data, may_restart):
        life = self.some_life(data)
        if life.is_living and not (life.state == "waiting" and may_restart):
            life.is_killed = True
            life.is_unwanted = life.is_unwanted or not may_restart
            # Who was asked to end before has died of that, however it comes about now.
            life.cause = life.cause or "killed"
            life.is_overdue = True
        was_alive, was_waiting = life.state == "alive", life.state == "waiting"
        instructions = self.registry.kill(life.spec.actor_id, DRIVER, self.tick(), may_restart=may_restart)
        assert (do.Kill(life.pid) in instructions) == was_alive
        self.perform(instructions)
        assert not was_waiting or life.state == ("waiting" if may_restart else "dead")

    @precondition(lambda self: self.lives)
    @rule(data=st.data())
    def end(self, data):
        life = self.some_life(data)
        if life.is_living and not life.is_unwanted:
            life.is_to_end("stopped")
        self.perform(self.registry.end(life.spec.actor_id, "stopped", "a person", self.tick()))

    @precondition(lambda self: self.disasters < 3)
    @rule(data=st.data(), is_for_all=st.booleans())
    def end_all(self, data, is_for_all):
        self.disasters += 1
        driver = "" if is_for_all else self.some_peer(data).peer
        for life in self.living():
            is_chosen = is_for_all or (life.driver == driver and not life.spec.is_detached)
            if is_chosen and not life.is_unwanted:
                life.is_to_end("shutdown")
        self.perform(self.registry.end_all("shutdown", "", self.tick(), driver))

    @precondition(lambda self: any(life.state == "waiting" for life in self.living()))
    @rule(data=st.data())
    def due(self, data):
        # Timers of those that did not wait until the end come, too.
        life = self.some_life(data)
        is_due = life.state == "waiting"
        instructions = self.registry.due(life.spec.actor_id)
        assert instructions == ([do.Fork(life.spec.actor_id)] if is_due else [])
        self.perform(instructions)

    # -- handles ---------------------------------------------------------------------------------------------------

    @precondition(held)
    @rule(data=st.data())
    def hold(self, data):
        life, peer = self.some_hold(data)
        self.holds[life, peer] += 1
        self.registry.hold(life.spec.actor_id, peer.peer, 0)

    @precondition(held)
    @rule(data=st.data(), is_all=st.booleans())
    def drop(self, data, is_all):
        life, peer = self.some_hold(data)
        self.flush(peer)
        count = self.holds[life, peer] if is_all else 1
        self.holds[life, peer] -= count
        self.settle()
        self.perform(self.registry.drop(life.spec.actor_id, peer.peer, count, self.tick()))

    @precondition(held)
    @rule(data=st.data(), heard_at_once=st.sampled_from(["", "lent", "arrived", "lent arrived", "arrived lent"]))
    def send_a_handle(self, data, heard_at_once):
        life, sender = self.some_hold(data)
        token = self.next_number()
        self.travels[token] = Travel(life, sender, self.some_peer(data))
        for news in heard_at_once.split():
            self.lend(token) if news == "lent" else self.arrive(token)

    @precondition(unheard)
    @rule(data=st.data())
    def the_news_of_a_lent_handle_is_heard(self, data):
        self.lend(data.draw(st.sampled_from(self.unheard())))

    def lend(self, token):
        travel = self.travels[token]
        travel.is_lent = True
        self.registry.lend(travel.life.spec.actor_id, token)

    def flush(self, peer):
        """All that a process has said of handles it lent is heard before what it says afterwards."""
        for token, travel in self.travels.items():
            if travel.sender is peer and not travel.is_lent:
                self.lend(token)

    @precondition(arriving)
    @rule(data=st.data())
    def the_news_of_an_arrived_handle_is_heard(self, data):
        self.arrive(data.draw(st.sampled_from(self.arriving())))

    def arrive(self, token):
        travel = self.travels[token]
        travel.is_over = True
        if travel.life.is_living:
            key = travel.life, travel.receiver
            self.holds[key] = self.holds.get(key, 0) + 1
        self.registry.hold(travel.life.spec.actor_id, travel.receiver.peer, token)

    @precondition(lost)
    @rule(data=st.data())
    def a_handle_is_taken_back(self, data):
        token = data.draw(st.sampled_from(self.lost()))
        self.flush(self.travels[token].sender)
        self.travels[token].is_over = True
        self.settle()
        self.perform(self.registry.unlend(token, self.tick()))

    # -- questions -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), is_connection_old=st.booleans())
    def ask(self, data, is_connection_old):
        life, asker, number = self.some_life(data), self.some_peer(data), self.next_number()
        since = 0.0 if is_connection_old else self.now
        if life.state == "asked":
            return
        self.questions[number] = Question(asker, life)
        answer = self.registry.ask(life.spec.actor_id, asker, number, since)
        died_at, certificate = life.deaths[-1] if life.deaths else (-1.0, None)
        if life.state == "dead" or died_at >= since:
            assert answer == do.Answer(asker, number, certificate)
            self.perform([answer])
        else:
            assert answer is None

    @precondition(lambda self: self.questions)
    @rule(data=st.data())
    def give_up(self, data):
        number = data.draw(st.sampled_from(sorted(self.questions)))
        question = self.questions[number]
        answer = self.registry.give_up(question.life.spec.actor_id, question.asker, number)
        assert answer == (do.Answer(question.asker, number, None) if question.state == "open" else None)
        self.perform([] if answer is None else [answer])

    # -- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def all_promises_hold(self):
        self.the_same_actors_live_in_the_same_states()
        self.a_name_belongs_to_one_living_actor_and_is_free_exactly_when_that_is_dead()
        self.who_is_not_about_to_end_is_found_by_name()
        self.who_is_to_end_has_been_told_and_nobody_else()
        self.a_creation_waits_only_for_the_name_of_an_actor_that_ends()
        self.questions_are_open_about_the_living_only()
        self.restarts_are_within_the_budget()
        self.every_fork_is_for_an_actor_that_starts()
        self.nothing_refers_to_the_dead()

    def the_same_actors_live_in_the_same_states(self):
        found = {actor_id: (each.state, each.pid) for actor_id, each in self.registry.living.items()}
        assert found == {life.spec.actor_id: (life.state, life.pid) for life in self.living()}
        assert sorted(self.registry.pids()) == sorted(life.pid for life in self.living() if life.pid)
        assert self.registry.is_empty() == (not self.living())
        assert self.registry.has_detached() == any(
            life.spec.is_detached and not life.is_unwanted for life in self.living()
        )

    def a_name_belongs_to_one_living_actor_and_is_free_exactly_when_that_is_dead(self):
        assert self.names == {life.name: life for life in self.living() if life.name}
        for (namespace, name), life in self.names.items():
            assert self.registry.names.get(namespace, name) == life.spec.actor_id
        assert len(self.registry.names._actors) == len(self.names)

    def who_is_not_about_to_end_is_found_by_name(self):
        for namespace, name in itertools.product(["here", "there"], ["bob", "eve"]):
            holder = self.names.get((namespace, name))
            identity, error = self.registry.find(namespace, name)
            if holder is not None and not holder.is_unwanted:
                assert (identity, error) == (holder.spec.identity, "")
            else:
                assert identity == b""
                assert ("is ending" if holder else "there is no actor") in error

    def who_is_to_end_has_been_told_and_nobody_else(self):
        for life in self.living():
            assert self.registry.living[life.spec.actor_id].is_unwanted == life.is_unwanted
            assert not (life.state == "waiting" and life.is_unwanted)
            if life.state == "alive" and (life.is_unwanted or life.is_killed):
                assert life.is_told

    def a_creation_waits_only_for_the_name_of_an_actor_that_ends(self):
        for creation in self.creations.values():
            if not creation.is_answered:
                assert self.names[creation.life.name].is_unwanted

    def questions_are_open_about_the_living_only(self):
        numbers = [number for actor in self.registry.living.values() for _, number, _ in actor.questions]
        assert sorted(numbers) == sorted(number for number, each in self.questions.items() if each.state == "open")

    def restarts_are_within_the_budget(self):
        for life in self.lives.values():
            assert life.max_restarts == -1 or life.used <= life.max_restarts

    def every_fork_is_for_an_actor_that_starts(self):
        told = [life for kind, life, _ in self.news if kind in {"forked", "failed"}]
        starting = [life for life in self.living() if life.state == "starting"]
        assert sorted(map(id, self.forks + told)) == sorted(map(id, starting))

    def nothing_refers_to_the_dead(self):
        holders, living = self.registry._holders, {life.spec.actor_id for life in self.living()}
        named = {*holders._held, *holders._lent.values(), *holders._travelling}
        assert named <= living
        assert set(self.registry._by_pid) == set(self.registry.pids())
        needed = {each for life in self.living() for each in life.spec.held}
        assert set(holders._births) == needed
        # A token is remembered until both have told of it.
        assert set(holders._early) <= {token for token, each in self.travels.items() if not each.is_lent}

    def teardown(self):
        """When everybody leaves, everything ends, and everybody has had an answer."""
        for peer in [peer for peer in self.peers if not peer.pid]:
            self.hang_up(peer)
        for _ in range(1000):
            for life in self.living():
                if life.spec.is_detached and not life.is_unwanted:
                    life.is_to_end("stopped")
                    self.perform(self.registry.end(life.spec.actor_id, "stopped", "a person", self.tick()))
            self.go_on()
            if not self.living() and not self.peers:
                break
        assert not self.living()
        assert all(question.state != "open" for question in self.questions.values())
        assert all(creation.is_answered for creation in self.creations.values())
        self.nothing_refers_to_the_dead()

    def go_on(self):
        while self.forks:
            self.the_zygote_forks(works=True)
        while self.news:
            self.the_zygotes_news_is_heard()
        for peer in list(self.peers):
            if peer.is_running:
                self.die(peer.pid, 0)
            else:
                self.hang_up(peer)


def test_a_registry_behaves_like_its_model():
    run_state_machine_as_test(
        Model, settings=settings(stateful_step_count=50, report_multiple_bugs=False, derandomize=True)
    )


# -- single promises -----------------------------------------------------------------------------------------------


OWNER = Peer("driver a")


def spec(actor_id, *, name="", held=(), max_restarts=0, owner=OWNER, is_detached=False, **policy):
    budget = RestartBudget(max_restarts, RestartPolicy(**policy))
    address, identity = f"/{actor_id}", f"identity {actor_id}".encode()
    return Spec(
        actor_id, "Account", address, owner.peer, 1, owner.peer, budget, 0.0, name, "here", is_detached, identity, held
    )


def registry_with(*specs, pid=7):
    """Return a registry in which these actors live, in processes 7, 8 and so on; with `pid` 0 they are starting."""
    registry = Registry(lambda: 0.0)
    for number, each in enumerate(specs):
        registry.create(OWNER, 0, each)
        if pid:
            registry.forked(each.actor_id, pid + number, 0.0)
    return registry


def registry_with_one(*, pid=7, **facts):
    return registry_with(spec("a", **facts), pid=pid)


def certificate_of(registry, actor_id="a"):
    return registry.ask(actor_id, "asker", 1, 0.0).certificate


def kinds(instructions):
    return [type(each) for each in instructions]


@pytest.mark.parametrize(("code", "cause", "number"), [(0, "exit", 0), (3, "exit", 3), (-9, "signal", 9)])
def test_an_actor_that_ends_unasked_dies_of_its_exit_status(code, cause, number):
    registry = registry_with_one()
    registry.exited(7, code, [], 1.0)
    certificate = certificate_of(registry)
    assert (certificate.cause, certificate.code) == (cause, number)


def test_a_process_that_is_no_actor_may_end():
    assert registry_with_one().exited(99, 0, [], 1.0) == []


@pytest.mark.parametrize("may_restart", [True, False])
def test_an_actor_killed_before_it_exists_is_killed_when_it_does(may_restart):
    registry = registry_with_one(pid=0)
    assert registry.kill("a", DRIVER, 1.0, may_restart=may_restart) == []
    assert do.Kill(7) in registry.forked("a", 7, 2.0)
    registry.exited(7, -9, [], 3.0)
    assert (certificate_of(registry).cause, certificate_of(registry).detail) == ("killed", DRIVER)


def test_an_actor_told_to_end_before_it_exists_is_told_when_it_does():
    registry = registry_with_one(pid=0)
    assert registry.end("a", "stopped", "a person", 1.0) == []
    assert do.End("a", 7) in registry.forked("a", 7, 2.0)


def test_who_is_to_be_killed_is_not_merely_asked_to_end():
    registry = registry_with_one(pid=0, max_restarts=1)
    registry.kill("a", DRIVER, 1.0, may_restart=True)
    registry.end("a", "stopped", "a person", 1.0)
    assert do.Kill(7) in registry.forked("a", 7, 2.0)


def test_a_kill_that_allows_a_restart_leaves_one_that_is_under_way_alone():
    registry = registry_with_one(max_restarts=-1)
    registry.exited(7, -11, [], 1.0)
    assert registry.kill("a", DRIVER, 2.0, may_restart=True) == []
    registry.due("a")
    registry.forked("a", 8, 3.0)
    registry.exited(8, -11, [], 4.0)
    # It was not the kill that ended this process.
    assert (certificate_of(registry).cause, certificate_of(registry).code) == ("signal", 11)


def test_a_kill_for_good_ends_a_restart_that_is_under_way():
    registry = registry_with_one(max_restarts=-1)
    registry.exited(7, -11, [], 1.0)
    assert do.Bury("a", "/a") in registry.kill("a", DRIVER, 2.0)
    assert registry.due("a") == []
    assert certificate_of(registry).cause == "killed"


def test_a_constructors_failure_is_told_though_the_actor_was_killed_afterwards():
    registry = registry_with_one(max_restarts=-1)
    registry.said_farewell(DeathCertificate("a", "Account", 7, "constructor", detail="ZeroDivisionError"))
    registry.kill("a", DRIVER, 1.0)
    registry.exited(7, 1, [], 2.0)
    assert (certificate_of(registry).cause, certificate_of(registry).detail) == ("constructor", "ZeroDivisionError")


def test_a_constructors_failure_is_told_of_an_actor_that_was_to_end_anyway():
    registry = registry_with_one()
    registry.drop("a", OWNER.peer, 1, 1.0)
    registry.said_farewell(DeathCertificate("a", "Account", 7, "exit_actor"))
    registry.said_farewell(DeathCertificate("a", "Account", 7, "constructor", detail="ZeroDivisionError"))
    registry.exited(7, 1, [], 2.0)
    assert (certificate_of(registry).cause, certificate_of(registry).detail) == ("constructor", "ZeroDivisionError")


def test_last_words_that_come_after_the_end_of_their_process_are_not_the_next_ones():
    registry = registry_with_one(max_restarts=1)
    registry.exited(7, -9, [], 1.0)
    registry.said_farewell(DeathCertificate("a", "Account", 7, "constructor"))
    registry.due("a")
    registry.forked("a", 8, 2.0)
    # It lives, so it has to be told when its last handle goes.
    assert registry.drop("a", OWNER.peer, 1, 3.0) == [do.End("a", 8)]


@pytest.mark.parametrize(("code", "cause"), [(0, "stopped"), (-15, "stopped"), (1, "exit"), (-11, "signal")])
def test_who_was_asked_to_end_and_dies_of_something_else_is_told_to_have(code, cause):
    registry = registry_with_one()
    registry.end("a", "stopped", "a person", 1.0)
    registry.exited(7, code, [], 2.0)
    assert certificate_of(registry).cause == cause


@pytest.mark.parametrize("is_late", [True, False])
def test_who_was_asked_to_end_and_is_killed_then_has_died_of_being_asked(is_late):
    registry = registry_with_one()
    registry.end("a", "stopped", "a person", 1.0)
    if is_late:
        registry.overdue(7)
    else:
        registry.kill("a", DRIVER, 1.0)
    registry.exited(7, -9, [], 2.0)
    assert (certificate_of(registry).cause, certificate_of(registry).detail) == ("stopped", "a person")


@pytest.mark.parametrize(("is_short", "code", "is_killed"), [(True, -9, False), (True, -11, False), (True, -9, True)])
def test_memory_is_suspected_only_of_a_sigkill_that_nobody_here_has_sent(is_short, code, is_killed):
    registry = Registry(lambda: 0.0, lambda: is_short)
    registry.create(OWNER, 0, spec("a"))
    registry.forked("a", 7, 0.0)
    if is_killed:
        registry.kill("a", DRIVER, 1.0)
    registry.exited(7, code, [], 2.0)
    assert certificate_of(registry).is_memory_short == (code == -9 and not is_killed)


def test_last_words_of_a_process_that_was_never_heard_of_are_not_the_next_ones():
    registry = registry_with_one(pid=0, max_restarts=1)
    registry.all_died("zygote_lost", "pid 2", 1.0)
    registry.said_farewell(DeathCertificate("a", "Account", 7, "constructor"))
    registry.due("a")
    registry.forked("a", 8, 2.0)
    assert registry.drop("a", OWNER.peer, 1, 3.0) == [do.End("a", 8)]


def test_a_kill_is_told_though_the_session_ends_before_the_process_does():
    registry = registry_with_one()
    registry.kill("a", DRIVER, 1.0)
    registry.end_all("shutdown", "", 1.0)
    registry.exited(7, -9, [], 2.0)
    assert certificate_of(registry).cause == "killed"


def test_who_dies_with_the_zygote_is_restarted_if_it_may_be():
    registry = registry_with(spec("a"), spec("b", max_restarts=1))
    registry.all_died("zygote_lost", "pid 2", 1.0)
    assert list(registry.living) == ["b"]
    assert (certificate_of(registry, "a").cause, certificate_of(registry, "b").cause) == ("zygote_lost",) * 2
    assert registry.due("b") == [do.Fork("b")]


def test_a_restart_is_delayed_as_its_policy_says_and_paid_for_until_none_is_left():
    registry = registry_with_one(max_restarts=2, initial_delay=3.0, jitter=0.0)
    for used, pid in enumerate((7, 8), 1):
        instructions = registry.exited(pid, 1, [], 0.5)
        assert [each.delay for each in instructions if isinstance(each, do.ForkLater)] == [3.0 * used]
        assert registry.due("a") == [do.Fork("a")]
        registry.forked("a", pid + 1, 0.5)
    assert do.Bury in kinds(registry.exited(9, 1, [], 0.5))
    certificate = certificate_of(registry)
    assert (certificate.restarts, certificate.max_restarts, certificate.will_restart) == (2, 2, False)


def test_restarts_that_are_older_than_the_window_do_not_count():
    registry = registry_with_one(max_restarts=1, window=10.0)
    for number in range(5):
        assert do.ForkLater in kinds(registry.exited(7 + number, 1, [], 100.0 * number))
        registry.due("a")
        registry.forked("a", 8 + number, 100.0 * number)
    assert do.Bury in kinds(registry.exited(12, 1, [], 401.0))


def test_an_actor_whose_process_cannot_be_made_says_why():
    registry = registry_with_one(pid=0)
    registry.fork_failed("a", "no memory", 1.0)
    assert "no memory" in certificate_of(registry).detail


def test_a_process_id_may_come_again():
    registry = registry_with_one()
    registry.exited(7, 0, [], 1.0)
    registry.create(OWNER, 0, spec("b"))
    registry.forked("b", 7, 1.0)
    assert registry.ask("b", "asker", 2, 0.0) is None
    answer = next(each for each in registry.exited(7, 5, [], 2.0) if isinstance(each, do.Answer))
    assert (answer.number, answer.certificate.actor_id, answer.certificate.code) == (2, "b", 5)
    assert certificate_of(registry).code == 0


def test_the_longest_dead_are_forgotten_and_still_answered(monkeypatch):
    monkeypatch.setattr(registry_module, "MAX_DEAD", 2)
    registry = registry_with(spec("a"), spec("b"), spec("c"))
    for pid in (7, 8, 9):
        registry.exited(pid, pid, [], 1.0)
    assert [certificate_of(registry, actor_id).code for actor_id in "abc"] == [0, 8, 9]
    assert certificate_of(registry).cause == "unknown"


# -- names


def test_a_taken_name_is_refused_in_words_that_say_by_whom():
    registry = registry_with_one(name="bob")
    (made,) = registry.create(OWNER, 5, spec("b", name="bob"))
    for words in ("'bob'", "'here'", "Account", "pid 7", "get_if_exists=True"):
        assert words in made.error
    assert (made.number, made.actor_id, made.identity) == (5, "b", b"")
    assert list(registry.living) == ["a"]


def test_of_many_who_get_or_create_one_makes_the_actor_and_all_get_it():
    registry = Registry(lambda: 0.0)
    made = [registry.create(OWNER, 1, spec("a", name="bob"), gets_existing=True)[-1]]
    made += [registry.create(OWNER, n, spec(f"a{n}", name="bob"), gets_existing=True)[-1] for n in (2, 3)]
    assert [each.identity for each in made] == [b"", b"identity a", b"identity a"]


def test_the_heirs_of_a_name_are_served_in_the_order_in_which_they_came():
    registry = registry_with_one(name="bob")
    registry.kill("a", DRIVER, 1.0)
    assert registry.create(OWNER, 1, spec("b", name="bob")) == []
    assert registry.create(OWNER, 2, spec("c", name="bob")) == []
    assert registry.create(OWNER, 3, spec("d", name="bob"), gets_existing=True) == []
    done = registry.exited(7, -9, [], 2.0)
    assert do.Fork("b") in done
    made = [each for each in done if isinstance(each, do.Made)]
    assert [(each.number, each.identity, bool(each.error)) for each in made] == [
        (1, b"", False),
        (2, b"", True),
        (3, b"identity b", False),
    ]


def test_a_name_stays_with_an_actor_that_restarts():
    registry = registry_with_one(name="bob", max_restarts=1)
    registry.exited(7, 1, [], 1.0)
    assert registry.find("here", "bob") == (b"identity a", "")
    (made,) = registry.create(OWNER, 1, spec("b", name="bob"))
    assert made.error


def test_an_heir_whose_owner_has_gone_is_not_born():
    heirs_owner = Peer("driver b")
    registry = registry_with_one(name="bob")
    registry.kill("a", DRIVER, 1.0)
    registry.create(heirs_owner, 1, spec("b", name="bob", owner=heirs_owner))
    registry.peer_gone(heirs_owner.peer, "it has ended", 1.0)
    assert do.Fork not in kinds(registry.exited(7, -9, [], 2.0))
    assert registry.is_empty()


def test_an_heir_whose_maker_was_interrupted_is_not_born():
    registry = registry_with_one(name="bob")
    registry.kill("a", DRIVER, 1.0)
    registry.create(OWNER, 1, spec("b", name="bob"))
    registry.create(OWNER, 2, spec("c", name="bob"))
    (made,) = registry.drop("b", OWNER.peer, 1, 1.0)
    assert (made.number, made.error) == (1, "its maker has been interrupted")
    assert do.Fork("c") in registry.exited(7, -9, [], 2.0)


def test_the_heir_of_another_driver_is_born_when_the_last_bearer_of_the_name_leaves():
    other = Peer("driver b")
    registry = registry_with_one(name="bob")
    registry.kill("a", DRIVER, 1.0)
    registry.create(other, 1, spec("b", name="bob", owner=other))
    registry.end_all("shutdown", "", 1.0, OWNER.peer)
    assert do.Fork("b") in registry.exited(7, -9, [], 2.0)


def test_a_name_nobody_has_is_not_found_and_near_ones_are_shown():
    registry = registry_with_one(name="account")
    identity, error = registry.find("here", "acount")
    assert identity == b""
    assert "did you mean 'account'?" in error


def test_a_very_long_name_is_shown_in_part():
    _, error = Registry(lambda: 0.0).find("here", "x" * 10_000)
    assert len(error) < 200


# -- who keeps whom


def test_an_actor_ends_when_its_last_handle_has_gone():
    registry = registry_with_one()
    registry.hold("a", "driver b", 0)
    assert registry.drop("a", OWNER.peer, 1, 1.0) == []
    assert registry.drop("a", "driver b", 1, 1.0) == [do.End("a", 7)]
    registry.exited(7, -15, [], 2.0)
    assert certificate_of(registry).cause == "out_of_scope"


@pytest.mark.parametrize("comes_first", ["lend", "hold"])
def test_a_handle_on_its_way_keeps_its_actor_whoever_is_heard_first(comes_first):
    registry = registry_with_one()
    if comes_first == "hold":
        registry.hold("a", "driver b", 5)
    registry.lend("a", 5)
    assert registry.drop("a", OWNER.peer, 1, 1.0) == []
    if comes_first == "lend":
        registry.hold("a", "driver b", 5)
    assert registry.drop("a", "driver b", 1, 1.0) == [do.End("a", 7)]


def test_a_handle_may_arrive_before_the_news_that_its_actor_is_made():
    registry = Registry(lambda: 0.0)
    registry.hold("a", "driver b", 5)
    registry.create(OWNER, 0, spec("a"))
    registry.lend("a", 5)
    registry.forked("a", 7, 1.0)
    assert registry.drop("a", OWNER.peer, 1, 1.0) == []
    assert registry.drop("a", "driver b", 1, 1.0) == [do.End("a", 7)]


def test_a_handle_that_will_not_arrive_keeps_nobody():
    registry = registry_with_one()
    registry.lend("a", 5)
    registry.drop("a", OWNER.peer, 1, 1.0)
    assert registry.unlend(5, 1.0) == [do.End("a", 7)]


def test_what_a_constructor_needs_is_kept_as_long_as_it_may_run_again():
    registry = registry_with(spec("a"), spec("b", held=("a",), max_restarts=1))
    assert registry.drop("a", OWNER.peer, 1, 1.0) == []
    assert do.End not in kinds(registry.exited(8, 1, [], 1.0))
    assert do.End("a", 7) in registry.kill("b", DRIVER, 2.0)


def test_an_actor_ends_when_the_process_with_its_last_handle_has_gone():
    registry = registry_with_one()
    registry.hold("a", "driver b", 0)
    registry.drop("a", OWNER.peer, 1, 1.0)
    assert registry.peer_gone("driver c", "it has ended", 1.0) == []
    assert registry.peer_gone("driver b", "it has ended", 1.0) == [do.End("a", 7)]


def test_an_actor_ends_with_its_owner_though_others_hold_it():
    registry = registry_with_one()
    registry.hold("a", "driver b", 0)
    assert registry.peer_gone(OWNER.peer, "the driver (pid 1) has ended", 1.0) == [do.End("a", 7)]
    registry.exited(7, -15, [], 2.0)
    certificate = certificate_of(registry)
    assert (certificate.cause, certificate.detail) == ("owner_died", "the driver (pid 1) has ended")


def test_a_detached_actor_outlives_its_owner_and_its_handles():
    registry = registry_with_one(is_detached=True)
    assert registry.drop("a", OWNER.peer, 1, 1.0) == []
    assert registry.peer_gone(OWNER.peer, "", 1.0) == []
    assert registry.end_all("shutdown", "", 1.0, OWNER.peer) == []
    assert registry.has_detached()
    assert registry.end_all("shutdown", "", 1.0) == [do.End("a", 7)]
    assert not registry.has_detached()


def test_an_actor_of_the_session_is_detached_and_keeps_no_session():
    actor = spec("a", is_detached=True)
    actor.ends_with_session = True
    registry = registry_with(actor)
    assert registry.drop("a", OWNER.peer, 1, 1.0) == []
    assert registry.peer_gone(OWNER.peer, "", 1.0) == []
    assert registry.end_all("shutdown", "", 1.0, OWNER.peer) == []
    assert not registry.has_detached()


def test_what_a_detached_actor_has_made_stays_when_the_driver_of_both_leaves():
    actor = spec("a")
    actor.family = "the process of a detached actor"
    registry = registry_with(actor)
    assert registry.end_all("shutdown", "", 1.0, OWNER.peer) == []
    assert registry.is_empty(OWNER.peer)
    assert registry.end_all("shutdown", "", 1.0) == [do.End("a", 7)]


def test_the_dead_are_not_held():
    registry = registry_with_one()
    registry.lend("a", 5)
    registry.exited(7, 0, [], 1.0)
    registry.hold("a", "driver b", 5)
    registry.lend("a", 6)
    holders = registry._holders
    assert not any((holders._held, holders._lent, holders._travelling, holders._early))


def test_an_adopted_actor_keeps_its_name_its_process_and_what_it_needs():
    registry = Registry(lambda: 0.0)
    registry.adopt(spec("a"), 7, 0.0)
    registry.adopt(spec("b", name="bob", held=("a",)), 8, 0.0)
    assert registry.find("here", "bob") == (b"identity b", "")
    registry.hold("b", OWNER.peer, 0)
    assert registry.release(["a", "b"], 1.0) == []
    assert do.End("a", 7) in registry.exited(8, 1, [], 1.0)


# -- questions


def test_nobody_claims_to_know_how_an_actor_ended_that_was_never_heard_of():
    answer = Registry(lambda: 0.0).ask("f" * 32, "asker", 1, 0.0)
    assert answer == do.Answer("asker", 1, DeathCertificate("f" * 32, "", cause="unknown"))


def test_a_question_about_a_later_death_is_not_answered_with_an_earlier_one():
    registry = registry_with_one(max_restarts=1)
    registry.exited(7, 1, [], 10.0)
    assert registry.ask("a", "asker", 1, 5.0).certificate.code == 1
    assert registry.ask("a", "asker", 2, 11.0) is None
    registry.due("a")
    registry.forked("a", 8, 12.0)
    answer = next(each for each in registry.exited(8, 2, [], 13.0) if isinstance(each, do.Answer))
    assert (answer.number, answer.certificate.code) == (2, 2)


def test_who_gives_up_is_told_that_the_actor_lives_and_nothing_later():
    registry = registry_with_one()
    registry.ask("a", "asker", 1, 0.0)
    assert registry.give_up("a", "asker", 1) == do.Answer("asker", 1, None)
    assert registry.give_up("a", "asker", 1) is None
    assert do.Answer not in kinds(registry.exited(7, 0, [], 1.0))
