"""The processes that train together: one, or those that torchrun has started.

Lightning Fabric moves the network to the devices and averages gradients; here is
what else has to be agreed upon, so that all take the same steps and stop together.
"""

import atexit
import os
import signal
import threading
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision

from ..errors import SepkitError


class Agreed(SepkitError):
    """An error that all processes raise alike, so that one of them need print it."""


def place():
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
        told = f"srun has started {tasks} tasks that know nothing of each other"
        raise SepkitError(f"{told}; start one torchrun a node, see: sepkit train --help")
    return 0, 1


class _Mixed(MixedPrecision):
    """Mixed precision that leaves the audio alone: in bfloat16 it would keep 8 of its 24 bits."""

    def convert_input(self, data):
        return data


def fabric(device, precision):
    """Lightning Fabric on a device, or on one for each of torchrun's processes.

    Raises
    ------
    SepkitError
        If there are fewer GPUs than processes on this machine, or a single one was chosen.
    """
    world = place()[1]
    options = (
        {"plugins": [_Mixed(precision, device.type)]}
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
            f"device {device}: {world} processes were started; choose cuda (each takes a GPU of its own) or cpu"
        )
    gpus = torch.cuda.device_count()
    if device.type == "cuda" and gpus < local:
        raise SepkitError(
            f"{local} processes on a machine with {gpus} GPU(s); use --nproc-per-node {gpus}"
        )
    atexit.register(_leave)
    return Fabric(
        accelerator=device.type, devices=local, num_nodes=world // local, strategy="ddp", **options
    )


def _leave():
    """Part from the other processes in good order: left to the end of the program, gloo's threads now and then abort it."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class Team:
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

    def __init__(self, fabric):
        self.rank, self.size = fabric.global_rank, fabric.world_size
        self._group = None
        if self.size > 1 and torch.distributed.get_backend() != "gloo":
            self._group = torch.distributed.new_group(
                backend="gloo"
            )  # what is agreed upon need not go through the GPUs

    def largest(self, *values):
        """For each of these numbers the largest of all processes."""
        if self.size == 1:
            return list(values)
        numbers = torch.tensor(values, dtype=torch.float64)
        with self._connected():
            torch.distributed.all_reduce(numbers, torch.distributed.ReduceOp.MAX, group=self._group)
        return numbers.tolist()

    def gathered(self, value):
        """What all processes have, in the order of their numbers."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        with self._connected():
            torch.distributed.all_gather_object(values, value, group=self._group)
        return values

    def from_first(self, value):
        """What the first process has."""
        return self.gathered(value if self.rank == 0 else None)[0]

    @contextmanager
    def agreed(self):
        """What goes wrong in one process goes wrong in all, with the same message."""
        if self.size == 1:
            yield
            return
        problem = None
        try:
            yield
        except (SepkitError, OSError) as error:
            problem = str(error)
        problems = [text for text in self.gathered(problem) if text]
        if problems:
            raise Agreed(problems[0])

    @contextmanager
    def _connected(self):
        try:
            yield
        except RuntimeError:  # whatever the library says when the other end is gone
            raise SepkitError(
                "another process of this run has ended; its own message says why"
            ) from None

    def like_the_first(self, *models):
        """Give all processes the first one's buffers: statistics of batch normalisation differ until then."""
        if self.size > 1:
            for model in models:
                for buffer in model.buffers():
                    torch.distributed.broadcast(buffer, 0)


@contextmanager
def interruptible():
    """Let Ctrl-C, or a polite kill where it means the same, wait for the end of a step; the second one stops at once.

    Yields
    ------
    callable
        Whether Ctrl-C has been pressed.
    """
    pressed = []
    if (
        threading.current_thread() is not threading.main_thread()
    ):  # only the main thread gets signals
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
