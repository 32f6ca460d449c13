"""Tensors of PyTorch in the memory of the CPU: sent as arrays are, apart from the pickle, and read without a copy.

PyTorch by itself puts them into the pickle, several copies deep. What reads one may write to it: the pages that are
written to become its own, since PyTorch knows no tensors that cannot be written to.
"""

from __future__ import annotations

import copyreg
import pickle
import sys
from typing import Any

from actorio._store.senders import is_sending
from actorio._wire.payload import APART

NAME = __name__.encode()
"""Stands in the pickle of a value that holds such tensors."""


def know() -> bool:
    """Begins to send tensors so, if PyTorch has been imported; returns whether that is news."""
    kind: Any = getattr(sys.modules.get("torch"), "Tensor", None)
    if kind is None or kind in copyreg.dispatch_table:
        return False
    copyreg.pickle(kind, _reduce)
    return True


def _reduce(tensor: Any) -> Any:
    # Whoever pickles for himself gets what he always got.
    if not is_sending(sys._getframe(1)) or not _is_plain(tensor):  # noqa: SLF001
        return tensor.__reduce_ex__(pickle.DEFAULT_PROTOCOL)
    import torch

    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    return rebuild, (pickle.PickleBuffer(flat.numpy()), tensor.dtype, tuple(tensor.shape), tensor.requires_grad)


def _is_plain(tensor: Any) -> bool:
    """Is a tensor, which is large, numbers and nothing else?"""
    import torch

    return (
        tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        and tensor.nbytes >= APART
        and tensor.is_leaf
        and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg() or tensor._backward_hooks)  # noqa: SLF001
    )


def rebuild(buffer: Any, dtype: Any, shape: tuple[int, ...], requires_grad: bool) -> Any:  # noqa: FBT001  # pickled
    """Returns a tensor over memory that can be written to; over a copy of memory that cannot."""
    import torch

    memory = bytearray(buffer) if memoryview(buffer).readonly else buffer
    tensor = torch.frombuffer(memory, dtype=torch.uint8).view(dtype).reshape(shape)
    return tensor.requires_grad_(requires_grad)
