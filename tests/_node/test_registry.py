import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from actorio._model.certificate import DeathCertificate
from actorio._node import registry as registry_module
from actorio._node.registry import Answer, Registry

CODES = st.sampled_from([0, 1, 3, 255, -9, -11, -15])
DRIVER = "actorio.kill() in the driver (pid 1)"


class Asker:
    """Somebody who asks; equal to nobody else."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


class Life:
    """What the model knows of one actor."""

    def __init__(self, actor_id):
        self.actor_id = actor_id
        self.pid = 0
        self.is_dead = False
        # What may stand in its certificate as the cause, the first that happened foremost.
        self.causes = []
        self.certificate = None

    @property
    def is_killed(self):
        return "killed" in self.causes


class Model(RuleBasedStateMachine):
    """A registry beside what a person would write down."""

    actors = Bundle("actors")

    def __init__(self):
        super().__init__()
        self.registry = Registry()
        self.askers = [Asker(f"asker {number}") for number in range(3)]
        self.lives = {}
        # Question: the actor it is about, while it is open.
        self.open = {}
        # Who asked which question; numbered from 1.
        self.asked_by = [None]
        self.pids = 100
        self.is_ending = False

    # -- what happens ----------------------------------------------------------------------------------------------

    @rule(target=actors)
    def create(self):
        life = Life(f"{len(self.lives):032x}")
        self.lives[life.actor_id] = life
        self.registry.create(life.actor_id, "Account")
        return life

    @rule(life=actors)
    def forked(self, life):
        if life.pid or life.is_dead:
            return
        self.pids += 1
        life.pid = self.pids
        assert self.registry.forked(life.actor_id, life.pid) == (life.pid if life.is_killed else 0)

    @rule(life=actors)
    def fork_failed(self, life):
        if life.pid or life.is_dead:
            return
        life.causes.insert(0, "unknown")
        self.expect(life, self.registry.fork_failed(life.actor_id, "no memory"))
        assert "no memory" in life.certificate.detail

    @rule(life=actors)
    def constructor_failed(self, life):
        self.registry.constructor_failed(life.actor_id, "ZeroDivisionError")
        if not life.is_dead:
            life.causes.append("constructor")

    @rule(life=actors)
    def kill(self, life):
        expected = 0 if life.is_dead else life.pid
        assert self.registry.kill(life.actor_id, DRIVER) == expected
        if not life.is_dead:
            life.causes.append("killed")

    @rule(life=actors, code=CODES)
    def exited(self, life, code):
        if not life.pid or life.is_dead:
            return
        has_cause = bool(life.causes)
        self.expect(life, self.registry.exited(life.pid, code, ["last words"]))
        assert life.certificate.stderr_tail == ["last words"]
        if not has_cause:
            assert (life.certificate.cause, life.certificate.code) == ("signal" if code < 0 else "exit", abs(code))

    @rule()
    def an_unknown_process_exits(self):
        assert self.registry.exited(99, 0, []) == []

    @rule(cause=st.sampled_from(["shutdown", "zygote_lost"]))
    def end_all(self, cause):
        assert self.registry.end_all(cause, "why") == self.running()
        self.is_ending = True
        for life in self.living():
            life.causes.append(cause)

    @precondition(lambda self: self.is_ending)
    @rule()
    def bury_all(self):
        # A lost zygote: whoever was created after the end is told of here as well.
        self.end_all("zygote_lost")
        buried = self.living()
        answers = self.registry.bury_all()
        for life in buried:
            own = [answer for answer in answers if self.open.get(answer.number) is life]
            answers = [answer for answer in answers if answer not in own]
            self.expect(life, own)
        assert answers == []

    # -- questions -------------------------------------------------------------------------------------------------

    @rule(life=actors, place=st.integers(0, 2))
    def ask(self, life, place):
        number, asker = self.next_question(place)
        answer = self.registry.ask(life.actor_id, asker, number)
        if life.is_dead:
            assert answer == Answer(asker, number, life.certificate)
        else:
            assert answer is None
            self.open[number] = life

    @rule(place=st.integers(0, 2))
    def ask_about_nobody(self, place):
        number, asker = self.next_question(place)
        answer = self.registry.ask("f" * 32, asker, number)
        assert answer == Answer(asker, number, DeathCertificate("f" * 32, "", cause="unknown"))

    @precondition(lambda self: len(self.asked_by) > 1)
    @rule(data=st.data())
    def give_up(self, data):
        number = data.draw(st.integers(1, len(self.asked_by) - 1))
        life = self.open.pop(number, None)
        if life is None:
            # Answered, forgotten or given up before: there is nothing to say.
            actor_id = data.draw(st.sampled_from(sorted(self.lives) or ["f" * 32]))
            assert self.registry.give_up(actor_id, self.asked_by[number], number) is None
        else:
            answer = self.registry.give_up(life.actor_id, self.asked_by[number], number)
            assert answer == Answer(self.asked_by[number], number, None)

    @rule(place=st.integers(0, 2))
    def forget(self, place):
        self.registry.forget(self.askers[place])
        gone = self.askers[place]
        self.open = {number: life for number, life in self.open.items() if self.asked_by[number] is not gone}
        self.askers[place] = Asker(f"{gone}'s successor")

    # -- what must hold --------------------------------------------------------------------------------------------

    def next_question(self, place):
        self.asked_by.append(self.askers[place])
        return len(self.asked_by) - 1, self.askers[place]

    def living(self):
        return [life for life in self.lives.values() if not life.is_dead]

    def running(self):
        return [life.pid for life in sorted(self.living(), key=lambda life: life.pid) if life.pid]

    def expect(self, life, answers):
        """The actor is dead: all open questions about it are answered, in the order asked, with one certificate."""
        numbers = [number for number, about in self.open.items() if about is life]
        assert [answer.number for answer in answers] == numbers
        assert [answer.asker for answer in answers] == [self.asked_by[number] for number in numbers]
        for number in numbers:
            del self.open[number]
        life.is_dead = True
        life.certificate = self.registry.ask(life.actor_id, self.askers[0], 0).certificate
        assert all(answer.certificate is life.certificate for answer in answers)
        self.check_certificate(life)

    def check_certificate(self, life):
        certificate = life.certificate
        assert (certificate.actor_id, certificate.class_name, certificate.pid) == (life.actor_id, "Account", life.pid)
        if not life.causes:
            return
        assert certificate.code == 0
        assert certificate.cause in {life.causes[0], "killed" if life.is_killed else life.causes[0]}
        details = {"killed": DRIVER, "constructor": "ZeroDivisionError", "shutdown": "why", "zygote_lost": "why"}
        assert certificate.detail == details.get(certificate.cause, certificate.detail)

    @invariant()
    def every_open_question_has_a_living_actor(self):
        assert all(not life.is_dead for life in self.open.values())
        kept = sorted(number for actor in self.registry._living.values() for _, number in actor.questions)
        assert kept == sorted(self.open)

    @invariant()
    def the_living_are_known(self):
        assert self.registry.is_empty() == (not self.living())
        assert self.registry.pids() == self.running()

    def teardown(self):
        for life in self.living():
            if life.pid:
                self.exited(life, 0)
            else:
                self.fork_failed(life)
        assert self.open == {}
        assert self.registry.is_empty()


def test_a_registry_behaves_like_its_model():
    run_state_machine_as_test(Model, settings=settings(max_examples=80, stateful_step_count=40))


# -- single promises -----------------------------------------------------------------------------------------------


def registry_with_one(*, pid=7):
    registry = Registry()
    registry.create("a", "Account")
    if pid:
        registry.forked("a", pid)
    return registry


def certificate_of(registry):
    return registry.ask("a", "asker", 1).certificate


@pytest.mark.parametrize(("code", "cause", "number"), [(0, "exit", 0), (3, "exit", 3), (-9, "signal", 9)])
def test_an_actor_that_ends_unasked_dies_of_its_exit_status(code, cause, number):
    registry = registry_with_one()
    registry.exited(7, code, [])
    certificate = certificate_of(registry)
    assert (certificate.cause, certificate.code) == (cause, number)


def test_an_actor_killed_before_it_exists_is_killed_when_it_does():
    registry = registry_with_one(pid=0)
    assert registry.kill("a", DRIVER) == 0
    assert registry.forked("a", 7) == 7
    registry.exited(7, -9, [])
    assert (certificate_of(registry).cause, certificate_of(registry).detail) == ("killed", DRIVER)


def test_a_constructors_failure_is_told_though_the_actor_was_killed_afterwards():
    registry = registry_with_one()
    registry.constructor_failed("a", "ZeroDivisionError")
    registry.kill("a", DRIVER)
    registry.exited(7, 1, [])
    assert (certificate_of(registry).cause, certificate_of(registry).detail) == ("constructor", "ZeroDivisionError")


def test_a_kill_is_told_though_the_session_ends_before_the_process_does():
    registry = registry_with_one()
    registry.kill("a", DRIVER)
    registry.end_all("shutdown", "")
    registry.exited(7, -9, [])
    assert certificate_of(registry).cause == "killed"


@pytest.mark.parametrize("pid", [0, 7])
def test_nobody_claims_to_know_how_an_actor_ended_that_nobody_saw(pid):
    registry = registry_with_one(pid=pid)
    registry.bury_all()
    assert certificate_of(registry).cause == "unknown"


def test_a_process_id_may_come_again():
    registry = registry_with_one()
    registry.exited(7, 0, [])
    registry.create("b", "Account")
    registry.forked("b", 7)
    assert registry.ask("b", "asker", 2) is None
    (answer,) = registry.exited(7, 5, [])
    assert (answer.number, answer.certificate.actor_id, answer.certificate.code) == (2, "b", 5)
    assert certificate_of(registry).code == 0


def test_the_longest_dead_are_forgotten_and_still_answered(monkeypatch):
    monkeypatch.setattr(registry_module, "MAX_DEAD", 2)
    registry = Registry()
    for pid, actor_id in enumerate("abc", 7):
        registry.create(actor_id, "Account")
        registry.forked(actor_id, pid)
        registry.exited(pid, pid, [])
    assert [registry.ask(actor_id, "asker", 1).certificate.code for actor_id in "abc"] == [0, 8, 9]
    assert registry.ask("a", "asker", 1).certificate.cause == "unknown"
