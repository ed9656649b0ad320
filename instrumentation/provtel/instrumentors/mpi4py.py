"""`mpi4py`: the rank of each process, as MPI itself says it, and calls in its pools as tasks of who sent them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from provtel_model import attributes as names

from provtel import recording
from provtel.instrumentors.base import Instrumentor
from provtel.instrumentors.pools import send_initializer, sending
from provtel.instrumentors.submitted import submitted_call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel.instrumentors.base import Patching
    from provtel.instrumentors.patches import Patches


class Mpi4pyInstrumentor(Instrumentor):
    """Records rank and size of the world, and what runs in `mpi4py.futures.MPIPoolExecutor`.

    MPI is asked once the program has started it, and is never started here. No message is sent.
    """

    requires: ClassVar[tuple[str, ...]] = ("mpi4py >= 4",)

    def patchings(self) -> Mapping[str, Patching]:
        """Return what changes the modules of MPI and of its pools."""
        return {"mpi4py.MPI": _change_mpi, "mpi4py.futures.pool": _change_pools}


def _change_mpi(module: Any, patches: Patches) -> None:
    def after(original: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        _learn(module)
        return result

    patches.replace(module, "Init", after)
    patches.replace(module, "Init_thread", after)
    _learn(module)


def _learn(module: Any) -> None:
    if not module.Is_initialized() or module.Is_finalized():
        return
    from provtel import process  # what says what is known of it is loaded with the first activity

    world = module.COMM_WORLD
    # Records of before keep what the environment said.
    if process.learn({names.MPI_RANK: world.rank, names.MPI_WORLD_SIZE: world.size}):
        recording.begin_anew()


def _change_pools(module: Any, patches: Patches) -> None:
    patches.replace(module.MPIPoolExecutor, "submit", _submit)
    patches.replace(module.MPIPoolExecutor, "map", sending("fn"))
    patches.replace(module.MPIPoolExecutor, "starmap", sending("fn"))
    patches.replace(module.MPIPoolExecutor, "__init__", send_initializer)


def _submit(original: Callable[..., Any], pool: Any, /, *args: Any, **kwargs: Any) -> Any:
    if not args:
        return original(pool, **kwargs)
    function, rest = submitted_call(args[0], args[1:])
    return original(pool, function, *rest, **kwargs)
