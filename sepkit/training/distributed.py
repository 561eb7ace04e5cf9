"""The processes that train together: one, or those that torchrun has started.

Lightning Fabric moves the network to the devices and averages gradients; here is what else the
processes exchange, so that all take the same steps and stop together. In a step each process
computes `recipe.batch` examples of its own, and the gradient is that of one batch of all of them.
This holds exactly for networks that treat examples one by one, such as BSRNN. Batch normalisation
(Open-Unmix, ResUNet) joins the statistics of all processes on GPUs, by `torch.nn.SyncBatchNorm`;
on CPUs each process normalises by its own examples, and the running statistics are the first
process's.
"""

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision

from ..errors import SepkitError
from ..models.precision import convolves_in_bfloat16


class CollectiveError(SepkitError):
    """An error that all processes raise alike, so that only one of them need print it."""


def rank_and_size() -> tuple[int, int]:
    """Number of this process, and of all: what torchrun says, or (0, 1) without it.

    Raises
    ------
    SepkitError
        If SLURM has started several tasks without torchrun: they would all do the same.
    """
    if torch.distributed.is_available() and torch.distributed.is_torchelastic_launched():
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS") or 1)
    if tasks > 1 and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        reason = f"srun has started {tasks} tasks that know nothing of each other"
        raise SepkitError(f"{reason}; start one torchrun a node, see: sepkit train --help")
    return 0, 1


class _Mixed(MixedPrecision):
    """Mixed precision that leaves the audio alone: in bfloat16 it would keep 8 of its 24 bits."""

    def convert_input(self, data: Any) -> Any:
        return data


def fabric(device: torch.device, precision: str) -> Fabric:
    """Lightning Fabric on a device, or on one for each of torchrun's processes.

    Raises
    ------
    SepkitError
        If there are fewer GPUs than processes on this machine, or a single one was chosen; or if
        this processor computes convolutions in bfloat16 wrongly.
    """
    if device.type == "cpu" and precision == "bf16-mixed" and not convolves_in_bfloat16():
        raise SepkitError(
            "precision bf16-mixed: with AMX, this PyTorch computes some convolutions wrongly;"
            " import sepkit before torch, set ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16, or take 32-true"
        )
    world = rank_and_size()[1]
    options = (
        {"plugins": [_Mixed(precision, device.type)]}  # type: ignore[arg-type]
        if "mixed" in precision
        else {"precision": precision}
    )
    if world == 1:
        return Fabric(
            accelerator=device.type,
            devices=1 if device.index is None else [device.index],
            **options,
        )
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    if device.type not in ("cpu", "cuda") or device.index is not None:
        raise SepkitError(
            f"device {device}: {world} processes were started; choose cuda (each takes a GPU of "
            "its own) or cpu"
        )
    gpus = torch.cuda.device_count()
    if device.type == "cuda" and gpus < local:
        raise SepkitError(
            f"{local} processes on a machine with {gpus} GPU(s); use --nproc-per-node {gpus}"
        )
    atexit.register(_destroy_process_group)
    return Fabric(
        accelerator=device.type, devices=local, num_nodes=world // local, strategy="ddp", **options
    )


def _destroy_process_group():
    """At exit: gloo's threads sometimes abort the interpreter otherwise."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class World:
    """All processes of a run, as one of them sees them.

    Parameters
    ----------
    fabric : Fabric
        Launched.

    Attributes
    ----------
    rank, size : int
        Number of this process, and of all.
    """

    def __init__(self, fabric: Fabric):
        self.rank, self.size = fabric.global_rank, fabric.world_size
        self._group = None
        if self.size > 1 and torch.distributed.get_backend() != "gloo":
            # numbers and objects of Python need not go through the GPUs
            self._group = torch.distributed.new_group(backend="gloo")

    def largest(self, *values: float) -> list[float]:
        """For each of these numbers the largest of all processes."""
        if self.size == 1:
            return list(values)
        numbers = torch.tensor(values, dtype=torch.float64)
        with self._connected():
            torch.distributed.all_reduce(numbers, torch.distributed.ReduceOp.MAX, group=self._group)
        return numbers.tolist()

    def gather(self, value: Any) -> list:
        """The values of all processes, in the order of their numbers."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        with self._connected():
            torch.distributed.all_gather_object(values, value, group=self._group)
        return values

    def from_first(self, value: Any) -> Any:
        """The value of the first process."""
        return self.gather(value if self.rank == 0 else None)[0]

    @contextmanager
    def fail_together(self) -> Iterator[None]:
        """What goes wrong in one process goes wrong in all, with the same message."""
        if self.size == 1:
            yield
            return
        problem = None
        try:
            yield
        except (SepkitError, OSError) as error:
            problem = str(error)
        problems = [text for text in self.gather(problem) if text]
        if problems:
            raise CollectiveError(problems[0])

    def by_first(self, action: Callable[[], Any]) -> None:
        """Let the first process do something; if that fails, it fails in all."""
        with self.fail_together():
            if self.rank == 0:
                action()

    @contextmanager
    def _connected(self):
        try:
            yield
        except RuntimeError:  # whatever the library says when the other end is gone
            raise SepkitError(
                "another process of this run has ended; its own message says why"
            ) from None

    def sync_buffers(self, *models: torch.nn.Module) -> None:
        """Give all processes the first one's buffers: statistics of batch normalisation differ."""
        if self.size > 1:
            for model in models:
                for buffer in model.buffers():
                    torch.distributed.broadcast(buffer, 0)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C wait for the end of a step; the second one stops at once.

    So does SIGTERM or SIGHUP where it means the same, as in the command line.

    Yields
    ------
    callable
        Whether Ctrl-C has been pressed.
    """
    pressed: list[bool] = []
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield lambda: False
        return
    before = {signal.SIGINT: signal.getsignal(signal.SIGINT)}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and callable(signal.getsignal(number)):  # so in the command line
            before[number] = signal.getsignal(number)

    def note(number, frame):
        pressed.append(True)
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(pressed)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
