import functools
import inspect
import pickle
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import pytest

from actorio._model.definition import ClassDefinition, MethodDefinition

T = TypeVar("T")


def traced(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Base:
    def inherited(self, x, /, y=1, *, z=2): ...

    def overridden(self): ...

    def hidden(self): ...


class Account(Base):
    rate = 3

    class Config: ...

    hidden = None

    def __init__(self, balance: float, minimal_balance: float = 0.0):
        self.balance = balance

    def balance(self): ...

    def deposit(self, amount): ...

    def overridden(self, a, b): ...

    def _private(self): ...

    def __call__(self, x): ...

    @staticmethod
    def static(a, b=2): ...

    @classmethod
    def on_class(cls, a): ...

    @traced
    def decorated(self, a, b): ...

    @functools.lru_cache  # noqa: B019
    def cached(self, a): ...

    @property
    def prop(self):
        raise AssertionError("a property is not evaluated")

    @functools.cached_property
    def lazy(self):
        raise AssertionError("a lazy property is not evaluated")

    def generate(self, n):
        yield n

    full = functools.partialmethod(deposit, 100)


@pytest.fixture(scope="module")
def account():
    return ClassDefinition.of(Account)


def test_a_class_is_described_by_its_names(account):
    assert (account.name, account.qualname, account.module) == ("Account", "Account", __name__)


def test_all_functions_of_the_class_and_its_bases_are_methods_and_nothing_else_is(account):
    assert set(account.methods) == {
        *("inherited", "overridden", "balance", "deposit", "_private", "__call__", "static", "on_class"),
        *("decorated", "cached", "generate", "full"),
    }


def test_the_nearest_definition_of_a_name_counts(account):
    account.methods["overridden"].check((1, 2), {})


@pytest.mark.parametrize(
    ("name", "binding", "args", "kwargs"),
    [
        ("deposit", "instance", (1,), {}),
        ("deposit", "instance", (), {"amount": 1}),
        ("inherited", "instance", (1,), {"z": 3}),
        ("inherited", "instance", (1, 2), {}),
        ("static", "static", (1,), {}),
        ("on_class", "class", (1,), {}),
        ("decorated", "instance", (1,), {"b": 2}),
        ("cached", "instance", (1,), {}),
        ("full", "instance", (), {}),
        ("__call__", "instance", (1,), {}),
    ],
)
def test_a_call_that_fits_passes_whatever_the_binding(account, name, binding, args, kwargs):
    method = account.methods[name]
    assert method.binding == binding
    method.check(args, kwargs)


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "text"),
    [
        ("deposit", (), {}, "Account.deposit() missing 1 required positional argument: 'amount'"),
        ("deposit", (1, 2), {}, "Account.deposit() takes 1 positional argument but 2 were given"),
        ("deposit", (1,), {"amount": 2}, "Account.deposit() got multiple values for argument 'amount'"),
        ("deposit", (1,), {"x": 2}, "Account.deposit() got an unexpected keyword argument 'x'"),
        ("balance", (1,), {}, "Account.balance() takes 0 positional arguments but 1 was given"),
        ("static", (), {}, "Account.static() missing 1 required positional argument: 'a'"),
        ("decorated", (), {}, "Account.decorated() missing 2 required positional arguments: 'a' and 'b'"),
        ("inherited", (1, 2, 3), {}, "Account.inherited() takes from 1 to 2 positional arguments but 3 were given"),
    ],
)
def test_a_call_that_does_not_fit_is_refused_in_pythons_words_under_the_methods_name(account, name, args, kwargs, text):
    with pytest.raises(TypeError) as caught:
        account.methods[name].check(args, kwargs)
    assert str(caught.value) == text


def test_the_constructor_is_checked_like_a_method(account):
    account.constructor.check((100.0,), {"minimal_balance": 20.0})
    with pytest.raises(TypeError, match=r"^Account.__init__\(\) missing 1 required positional argument: 'balance'$"):
        account.constructor.check((), {})


def test_a_class_without_a_constructor_takes_no_arguments():
    constructor = ClassDefinition.of(Base).constructor
    constructor.check((), {})
    with pytest.raises(TypeError, match=r"Base.__init__\(\) takes 0 positional arguments but 1 was given"):
        constructor.check((1,), {})


def test_a_class_made_by_new_takes_what_new_takes():
    class Made:
        def __new__(cls, a):
            return super().__new__(cls)

    constructor = ClassDefinition.of(Made).constructor
    constructor.check((1,), {})
    with pytest.raises(TypeError, match="missing 1 required"):
        constructor.check((), {})


def test_a_keyword_that_is_required_is_missed_though_the_positions_fit():
    def ask(a, *, unit): ...

    definition = MethodDefinition.of_function(ask)
    assert definition.needs_keywords
    definition.check((1,), {"unit": "s"})
    with pytest.raises(TypeError, match=r"^ask\(\) missing 1 required keyword-only argument: 'unit'$"):
        definition.check((1,), {})


async def coroutine(a): ...


async def agen(a):
    yield a


def gen(a):
    yield a


async def async_wrapper(*args): ...


@pytest.mark.parametrize(
    ("function", "is_async", "is_generator"),
    [
        (coroutine, True, False),
        (agen, True, True),
        (gen, False, True),
        (traced, False, False),
        (traced(coroutine), True, False),
        (functools.partial(coroutine, 1), True, False),
        (functools.wraps(traced)(async_wrapper), True, False),
    ],
)
def test_the_kind_of_a_function_is_seen_through_its_wrappers(function, is_async, is_generator):
    definition = MethodDefinition.of_function(function)
    assert (definition.is_async, definition.is_generator) == (is_async, is_generator)


@pytest.mark.parametrize("binding", [staticmethod, classmethod, traced, lambda function: function])
@pytest.mark.parametrize("function", [coroutine, agen])
def test_one_async_method_anywhere_makes_the_class_async(binding, function):
    base = type("Parent", (), {"work": binding(function), "plain": lambda self: None})
    assert ClassDefinition.of(type("Child", (base,), {})).is_async


def test_an_async_partialmethod_makes_the_class_async():
    class Partly:
        async def work(self, a, b): ...

        work_on = functools.partialmethod(work, 1)

    definition = ClassDefinition.of(Partly)
    assert definition.methods["work_on"].is_async
    definition.methods["work_on"].check((2,), {})


def test_the_frameworks_own_methods_do_not_make_a_class_async():
    assert not ClassDefinition.of(type("Quiet", (), {"__ray_call__": coroutine})).is_async


def test_abstract_and_generic_bases_add_no_methods():
    class Shape(ABC, Generic[T]):
        @abstractmethod
        def area(self, unit): ...

    class Square(Shape[int]):
        def area(self, unit): ...

    assert set(ClassDefinition.of(Square).methods) == {"area"}


def test_a_class_written_in_c_accepts_what_cannot_be_checked():
    definition = ClassDefinition.of(type("Box", (dict,), {}))
    definition.methods["get"].check(("key",), {})
    definition.methods["fromkeys"].check(("ab",), {})
    definition.methods["update"].check((), {"a": 1})
    definition.constructor.check((), {"a": 1})


def test_a_mark_on_the_method_is_kept_through_decorators():
    class Marked:
        @traced
        def work(self): ...

    Marked.work.__wrapped__.__actorio_method_options__ = {"num_returns": 1}
    assert ClassDefinition.of(Marked).methods["work"].options == {"num_returns": 1}


def test_a_definition_can_be_pickled_whatever_its_defaults_are():
    def work(self, a=lambda: None, *, b=gen): ...

    definition = ClassDefinition.of(type("Local", (), {"work": work}))
    data = pickle.dumps(definition)
    assert pickle.loads(data) == definition
    assert len(data) < 1_000


def test_an_object_that_answers_every_attribute_does_not_hang_the_description():
    class Endless:
        @property
        def __wrapped__(self):
            return Endless()

        def __call__(self, a): ...

    with pytest.raises(ValueError):
        inspect.unwrap(Endless())
    MethodDefinition.of_function(Endless()).check((1,), {})
