"""Tensors of PyTorch: known as arrays are, on the CPU by their content, elsewhere without waiting for it.

There is no GPU here. What stands for one is the device ``meta``, whose tensors have no content at all: whoever asks for
it gets an error, as whoever asks a tensor of a GPU for it waits for the GPU.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ormsgpack
import pytest
from provtel.settings import Settings
from provtel.snapshot import Snapshots
from provtel_model.values import Reference, decode

from tests.services import torch
from tests.services.found import Found

PROGRAM = """
import sys
import numpy as np
import ormsgpack
import torch
from provtel.settings import Settings
from provtel.snapshot import Snapshots

class Hostile(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, arguments=(), keywords=None):
        raise BaseException("hostile code ran")

class Model(torch.nn.Module):
    def __init__(self, value):
        super().__init__()
        self.layer = torch.nn.Linear(2, 3)
        torch.nn.init.constant_(self.layer.weight, value)
        torch.nn.init.constant_(self.layer.bias, value)

of = Snapshots(Settings(hashing_share=1.0, {settings})).of
sys.stdout.buffer.write(ormsgpack.packb([of(value) for value in ({values},)]))
"""


@pytest.fixture
def forms(torch_python: Found, tmp_path: Path) -> Callable[..., list[Any]]:
    """Return how to get what records hold of values in a Python that has PyTorch."""
    folder = tmp_path / "packages"
    folder.mkdir()
    path = torch.search_path(folder)

    def call(*values: str, settings: str = "") -> list[Any]:
        program = PROGRAM.format(values=", ".join(values), settings=settings)
        done = subprocess.run(
            [torch_python.binary, "-c", program],
            env={"PYTHONPATH": path, "PROVTEL_STORE": str(tmp_path / "store")},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return [decode(form) for form in ormsgpack.unpackb(done.stdout)]

    return call


def _of_array(array: object) -> Any:
    return decode(Snapshots(Settings(hashing_share=1.0)).of(array))


def test_content_of_tensors(forms: Callable[..., list[Any]]) -> None:
    """A tensor hashes as the array with its content, whatever its layout, and whether or not it learns."""
    plain, turned, learning, parameter, none, single = forms(
        "torch.arange(12.0).reshape(3, 4)",
        "torch.arange(12.0).reshape(3, 4).T",
        "torch.arange(12.0, requires_grad=True).reshape(3, 4)",
        "torch.nn.Parameter(torch.arange(12.0).reshape(3, 4))",
        "torch.zeros(0, 3)",
        "torch.tensor(3)",
    )
    array = np.arange(12, dtype="f4").reshape(3, 4)

    assert plain == Reference(
        "torch.Tensor", _of_array(array).hash, (3, 4), "float32", 48, preview="[0.0, 1.0, 2.0, 3.0, …]"
    )
    assert turned.hash == _of_array(array.T).hash
    assert plain.hash == learning.hash == parameter.hash
    assert parameter.type == "torch.nn.parameter.Parameter"
    assert (none.shape, none.nbytes) == ((0, 3), 0)
    assert (single.shape, single.hash) == ((), _of_array(np.array(3)).hash)


def test_types_that_numpy_lacks(forms: Callable[..., list[Any]]) -> None:
    """A tensor of such a type is hashed by its bytes under its own name."""
    one, same, other, turned, half = forms(
        "torch.ones(4, dtype=torch.bfloat16)",
        "torch.ones(4, 4, dtype=torch.bfloat16)[0]",
        "torch.zeros(4, dtype=torch.bfloat16)",
        "torch.ones(4, 4, dtype=torch.bfloat16).T[0]",
        "torch.ones(4, dtype=torch.float16)",
    )

    assert (one.dtype, one.nbytes, one.shape) == ("bfloat16", 8, (4,))
    assert one.hash.startswith("sha256:")
    assert one.hash == same.hash == turned.hash
    assert len({one.hash, other.hash, half.hash}) == 3


def test_tensors_elsewhere(forms: Callable[..., list[Any]]) -> None:
    """What is not in the CPU's memory is known by shape, type and device; its content is not asked for."""
    there, inside, model = forms(
        "torch.ones(3, 4, device='meta')", "[torch.ones(2, device='meta')]", "torch.nn.Linear(2, 3, device='meta')"
    )

    assert there == Reference("torch.Tensor", shape=(3, 4), dtype="float32", nbytes=48, preview="meta")
    assert inside[0].preview == "meta"
    assert model.hash is None


def test_tensors_without_plain_content(forms: Callable[..., list[Any]]) -> None:
    """Sparse, quantised and conjugated tensors are described as far as that goes."""
    sparse, quantised, conjugated = forms(
        "torch.sparse_coo_tensor([[0], [1]], [2.0], (2, 2))",
        "torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8)",
        "torch.zeros(3, dtype=torch.complex64).conj()",
    )

    assert (sparse.shape, sparse.hash) == ((2, 2), None)
    assert (quantised.shape, quantised.dtype) == ((3,), "qint8")
    assert conjugated.shape == (3,)


def test_hostile_subclasses(forms: Callable[..., list[Any]]) -> None:
    """No code of a subclass runs."""
    (hostile,) = forms("torch.zeros(3).as_subclass(Hostile)")

    assert (hostile.type, hostile.shape, hostile.dtype) == ("__main__.Hostile", (3,), "float32")


def test_models(forms: Callable[..., list[Any]]) -> None:
    """A model is known by its weights."""
    one, same, other = forms("Model(1.0)", "Model(1.0)", "Model(2.0)")

    assert one.hash.startswith("sha256:")
    assert one.hash == same.hash != other.hash


def test_large_tensors(forms: Callable[..., list[Any]]) -> None:
    """A large tensor is sampled as an array is, and one that is kept comes back as an array."""
    large, kept = forms("torch.zeros(1000, 1000)", "torch.arange(1000.0)", settings="keep_content=2**20")

    assert large.hash == _of_array(np.zeros((1000, 1000), dtype="f4")).hash
    assert large.hash.startswith("fp1:")
    np.testing.assert_array_equal(np.load(Path(kept)), np.arange(1000.0, dtype="f4"))


def test_things_of_torch(forms: Callable[..., list[Any]]) -> None:
    """What else is passed around is described, and does no harm."""
    kind, device, size, optimiser = forms(
        "torch.float32", "torch.device('cpu')", "torch.Size([1, 2])", "torch.optim.SGD(Model(1.0).parameters(), lr=0.1)"
    )

    assert (kind.type, device.type, size) == ("torch.dtype", "torch.device", (1, 2))
    assert optimiser.type == "torch.optim.sgd.SGD"
