"""Tensors of PyTorch travel as arrays do. PyTorch is too large to be installed for this alone: where it is not, only
that it is not missed is tested.
"""

import copy
import io
import pickle
import sys

import pytest

import actorio
from actorio._store import tensors

MIB = 1 << 20


@pytest.mark.skipif("torch" in sys.modules, reason="PyTorch has been imported")
def test_nobody_imports_pytorch_who_does_not_use_it():
    assert not tensors.know()
    assert "torch" not in sys.modules


@pytest.fixture(scope="module")
def torch(session):
    torch = pytest.importorskip("torch")
    # Something large has been sent from now on.
    actorio.get(actorio.put(torch.ones(MIB)))
    return torch


@actorio.remote
class Holder:
    def give_back(self, value):
        return value

    def add_one(self, tensor):
        tensor += 1
        return float(tensor.sum())

    def keep(self, tensor):
        self.kept = tensor

    def sum(self):
        return float(self.kept.sum())


def make(torch):
    """Return tensors of many kinds, all of them large."""
    ones = torch.arange(MIB, dtype=torch.float32)
    return {
        "floats": ones,
        "bytes": torch.ones(MIB, dtype=torch.uint8),
        "bfloat16": ones.to(torch.bfloat16),
        "complex": torch.complex(ones, ones),
        "booleans": ones > 5,
        "shaped": ones.reshape(2, 512, 1024),
        "a view": ones.reshape(1024, 1024)[::2, 1:],
        "transposed": ones.reshape(1024, 1024).t(),
        "with a gradient": torch.ones(MIB, requires_grad=True),
        "conjugate": torch.complex(ones, ones).conj(),
        "a parameter": torch.nn.Parameter(ones),
        "sparse": torch.eye(512).to_sparse(),
        "empty": torch.empty(0, MIB),
    }


KINDS = [
    *("floats", "bytes", "bfloat16", "complex", "booleans", "shaped", "a view", "transposed", "with a gradient"),
    *("conjugate", "a parameter", "sparse", "empty"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_come_back_as_they_were(kind, torch):
    tensor = make(torch)[kind]
    holder = Holder.remote()
    for found in (actorio.get(actorio.put(tensor)), actorio.get(holder.give_back.remote([tensor]))[0]):
        assert type(found) is type(tensor)
        assert (found.dtype, found.shape, found.requires_grad) == (tensor.dtype, tensor.shape, tensor.requires_grad)
        assert torch.equal(found.to_dense(), tensor.to_dense())


def test_modules_travel(torch):
    module = torch.nn.Sequential(torch.nn.Linear(1000, 1000), torch.nn.ReLU())
    found = actorio.get(Holder.remote().give_back.remote(module))
    given = torch.ones(1000)
    assert torch.equal(found(given), module(given))


def test_who_writes_to_a_tensor_writes_to_his_own(torch):
    tensor = torch.ones(MIB)
    ref = actorio.put(tensor)
    holders = [Holder.remote() for _ in range(2)]
    assert actorio.get([holder.add_one.remote(ref) for holder in holders]) == [2 * MIB] * 2
    mine = actorio.get(ref)
    mine += 5
    assert float(actorio.get(ref).sum()) == MIB
    assert float(tensor.sum()) == MIB


def test_a_tensor_outlives_its_reference(torch):
    holder = Holder.remote()
    actorio.get(holder.keep.remote(torch.ones(MIB)))
    for _ in range(5):
        actorio.get(holder.give_back.remote(torch.zeros(MIB)))
    assert actorio.get(holder.sum.remote()) == MIB


def test_what_a_user_pickles_for_himself_is_pytorchs(torch):
    tensor = torch.ones(MIB)
    assert tensors.NAME not in pickle.dumps(tensor)
    file = io.BytesIO()
    torch.save({"weights": tensor}, file)
    file.seek(0)
    assert torch.equal(torch.load(file)["weights"], tensor)
    assert torch.equal(copy.copy(tensor), tensor)
    assert torch.equal(copy.deepcopy(tensor), tensor)
