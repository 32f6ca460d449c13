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

CODES = st.sampled_from([0, 1, 255, -9, -11])
NAMES = st.sampled_from(["", "", "bob", "eve"])
NAMESPACES = st.sampled_from(["here", "there"])
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
        self.is_killed = self.is_told = False

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
        self.numbers = 0
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

    def one_of(self, data, things):
        return data.draw(st.sampled_from(things)) if things else None

    def some_life(self, data):
        return self.one_of(data, list(self.lives.values()))

    def some_peer(self, data):
        return data.draw(st.sampled_from(self.peers))

    def living(self):
        return [life for life in self.lives.values() if life.is_living]

    def held_by(self, peer):
        return [life for (life, holder), count in self.holds.items() if holder is peer and count]

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
            assert each.error
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

    def hear_forked(self, life, pid):
        was_killed, was_told = life.is_killed, life.is_told
        self.perform(self.registry.forked(life.spec.actor_id, pid, self.tick()))
        assert life.pid == pid
        if was_killed:
            assert any(news[:2] == ("exited", pid) for news in self.news)
        elif life.is_unwanted and not was_told:
            assert life.is_told

    def hear_failed(self, life, _):
        life.cause = life.cause or "unknown"
        comes_back = life.comes_back
        self.perform(self.registry.fork_failed(life.spec.actor_id, "no memory", self.tick()))
        assert life.state == ("waiting" if comes_back else "dead")
        assert "no memory" in life.deaths[-1][1].detail

    def hear_exited(self, pid, code):
        (life,) = [life for life in self.living() if life.pid == pid]
        has_code = life.cause is None
        life.cause = life.cause or ("signal" if code < 0 else "exit")
        comes_back = life.comes_back
        self.perform(self.registry.exited(pid, code, ["last words"], self.tick()))
        assert life.state == ("waiting" if comes_back else "dead")
        _, certificate = life.deaths[-1]
        assert certificate.stderr_tail == ["last words"]
        assert certificate.code == (abs(code) if has_code else 0)

    @rule(data=st.data(), code=CODES)
    def a_process_ends(self, data, code):
        peer = self.some_peer(data)
        if peer.pid:
            self.die(peer.pid, code)

    @rule(data=st.data())
    def a_connection_ends(self, data):
        peer = self.some_peer(data)
        if peer.pid and peer.is_running:
            return
        self.hang_up(peer)
        if not peer.pid:
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

    @rule()
    def the_zygote_is_lost(self):
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

    @rule(data=st.data())
    def it_says_that_its_constructor_has_raised(self, data):
        peer = self.some_peer(data)
        life = peer.life
        if life is None:
            return
        certificate = DeathCertificate(life.spec.actor_id, "Account", peer.pid, "constructor", detail="ValueError")
        self.registry.said_farewell(certificate)
        is_its_process = life.pid == peer.pid or ("forked", life, peer.pid) in self.news
        if life.is_living and is_its_process and life.cause is None:
            life.is_told = True
            life.is_to_end("constructor")

    # -- what people want ------------------------------------------------------------------------------------------

    @rule(
        data=st.data(),
        name=NAMES,
        namespace=NAMESPACES,
        gets_existing=st.booleans(),
        is_detached=st.booleans(),
        max_restarts=st.sampled_from([0, 1, 2, -1]),
        is_numbered=st.booleans(),
    )
    def create(self, data, name, namespace, gets_existing, is_detached, max_restarts, is_numbered):
        asker = self.some_peer(data)
        held = [life for life in self.held_by(asker) if data.draw(st.booleans())]
        number = self.next_number()
        facts = {"name": name, "namespace": namespace, "is_detached": is_detached, "max_restarts": max_restarts}
        life = Life(number, asker, held, **facts)
        self.lives[life.spec.actor_id] = life
        holder = self.names.get(life.name)
        if name or is_numbered:
            self.creations[number] = Creation(asker, life, gets_existing)
        asked = number if number in self.creations else 0
        instructions = self.registry.create(asker, asked, life.spec, gets_existing=gets_existing)
        self.perform(instructions)
        assert (life.state == "starting") == (holder is None)
        if holder is not None:
            assert self.creations[number].is_answered == (not holder.is_unwanted)

    @rule(name=st.sampled_from(["bob", "eve"]), namespace=NAMESPACES)
    def find(self, name, namespace):
        holder = self.names.get((namespace, name))
        identity, error = self.registry.find(namespace, name)
        if holder is not None and not holder.is_unwanted:
            assert (identity, error) == (holder.spec.identity, "")
        else:
            assert identity == b""
            assert ("is ending" if holder else "there is no actor") in error

    @rule(data=st.data(), may_restart=st.booleans())
    def kill(self, data, may_restart):
        life = self.some_life(data)
        if life is None:
            return
        if life.is_living and not (life.state == "waiting" and may_restart):
            life.is_killed = True
            life.is_unwanted = life.is_unwanted or not may_restart
            life.cause = life.cause or "killed"
        was_alive, was_waiting = life.state == "alive", life.state == "waiting"
        instructions = self.registry.kill(life.spec.actor_id, DRIVER, self.tick(), may_restart=may_restart)
        assert (do.Kill(life.pid) in instructions) == was_alive
        self.perform(instructions)
        assert not was_waiting or life.state == ("waiting" if may_restart else "dead")

    @rule(data=st.data())
    def end(self, data):
        life = self.some_life(data)
        if life is None:
            return
        if life.is_living and not life.is_unwanted:
            life.is_to_end("stopped")
        self.perform(self.registry.end(life.spec.actor_id, "stopped", "a person", self.tick()))

    @rule(data=st.data(), is_for_all=st.booleans())
    def end_all(self, data, is_for_all):
        driver = "" if is_for_all else self.some_peer(data).peer
        for life in self.living():
            is_chosen = is_for_all or (life.driver == driver and not life.spec.is_detached)
            if is_chosen and not life.is_unwanted:
                life.is_to_end("shutdown")
        self.perform(self.registry.end_all("shutdown", "", self.tick(), driver))

    @rule(data=st.data())
    def due(self, data):
        life = self.some_life(data)
        if life is None:
            return
        is_due = life.state == "waiting"
        instructions = self.registry.due(life.spec.actor_id)
        assert instructions == ([do.Fork(life.spec.actor_id)] if is_due else [])
        self.perform(instructions)

    # -- handles ---------------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def hold(self, data):
        peer = self.some_peer(data)
        life = self.one_of(data, self.held_by(peer))
        if life is not None:
            self.holds[life, peer] += 1
            self.registry.hold(life.spec.actor_id, peer.peer, 0)

    @rule(data=st.data(), is_all=st.booleans())
    def drop(self, data, is_all):
        peer = self.some_peer(data)
        life = self.one_of(data, self.held_by(peer))
        if life is None:
            return
        self.flush(peer)
        count = self.holds[life, peer] if is_all else 1
        self.holds[life, peer] -= count
        self.settle()
        self.perform(self.registry.drop(life.spec.actor_id, peer.peer, count, self.tick()))

    @rule(data=st.data())
    def send_a_handle(self, data):
        sender, receiver = self.some_peer(data), self.some_peer(data)
        life = self.one_of(data, self.held_by(sender))
        if life is not None:
            self.travels[self.next_number()] = Travel(life, sender, receiver)

    @rule(data=st.data())
    def the_news_of_a_lent_handle_is_heard(self, data):
        token = self.one_of(data, [token for token, each in self.travels.items() if not each.is_lent])
        if token is not None:
            self.lend(token)

    def lend(self, token):
        travel = self.travels[token]
        travel.is_lent = True
        self.registry.lend(travel.life.spec.actor_id, token)

    def flush(self, peer):
        """All that a process has said of handles it lent is heard before what it says afterwards."""
        for token, travel in self.travels.items():
            if travel.sender is peer and not travel.is_lent:
                self.lend(token)

    @rule(data=st.data())
    def the_news_of_an_arrived_handle_is_heard(self, data):
        open_ones = [token for token, each in self.travels.items() if not each.is_over and each.receiver in self.peers]
        token = self.one_of(data, open_ones)
        if token is None:
            return
        travel = self.travels[token]
        travel.is_over = True
        if travel.life.is_living:
            key = travel.life, travel.receiver
            self.holds[key] = self.holds.get(key, 0) + 1
        self.registry.hold(travel.life.spec.actor_id, travel.receiver.peer, token)

    @rule(data=st.data())
    def a_handle_is_taken_back(self, data):
        lost = [
            token
            for token, each in self.travels.items()
            if not each.is_over and each.receiver not in self.peers and each.sender in self.peers
        ]
        token = self.one_of(data, lost)
        if token is not None:
            self.flush(self.travels[token].sender)
            self.travels[token].is_over = True
            self.settle()
            self.perform(self.registry.unlend(token, self.tick()))

    # -- questions -------------------------------------------------------------------------------------------------

    @rule(data=st.data(), is_connection_old=st.booleans())
    def ask(self, data, is_connection_old):
        life, asker, number = self.some_life(data), self.some_peer(data), self.next_number()
        since = 0.0 if is_connection_old else self.now
        if life is None or life.state == "asked":
            return
        self.questions[number] = Question(asker, life)
        answer = self.registry.ask(life.spec.actor_id, asker, number, since)
        died_at, certificate = life.deaths[-1] if life.deaths else (-1.0, None)
        if life.state == "dead" or died_at >= since:
            assert answer == do.Answer(asker, number, certificate)
            self.perform([answer])
        else:
            assert answer is None

    @rule(data=st.data())
    def ask_about_nobody(self, data):
        asker = self.some_peer(data)
        answer = self.registry.ask("f" * 32, asker, 1, 0.0)
        assert answer == do.Answer(asker, 1, DeathCertificate("f" * 32, "", cause="unknown"))

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
    run_state_machine_as_test(Model, settings=settings(max_examples=150, stateful_step_count=50))
