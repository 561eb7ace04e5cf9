"""Memory that does not suffice: which batch would fit is tried out, and said."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric

from ..errors import SepkitError
from .recipe import Recipe

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")


def is_shortage(error: BaseException) -> bool:
    """Whether an exception means that memory did not suffice, on a GPU or a CPU."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)
    )


@contextmanager
def enough_memory(
    fabric: Fabric, model, mixture: torch.Tensor, target: torch.Tensor, recipe: Recipe
) -> Iterator[None]:
    """Turn a shortage of memory in a training step into advice.

    Parameters
    ----------
    fabric : Fabric
    model : Module
        Not wrapped.
    mixture, target : Tensor
        The batch, (B, C, T) each; parts of it are tried after a shortage.
    recipe : Recipe

    Raises
    ------
    SepkitError
        Naming the largest batch that fits, and how many of them make the same step.
    """
    try:
        yield
        return
    except (RuntimeError, MemoryError) as error:
        if not is_shortage(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold on to the memory
    whole = recipe.batch * recipe.accumulate
    smaller = [
        size
        for size in range(len(mixture) - 1, 0, -1)
        if whole % size == 0 and size <= recipe.batch // 2
    ]
    fits = next(
        (size for size in smaller if _fits(fabric, model, mixture[:size], target[:size])), None
    )
    seconds = mixture.shape[-1] / model.sample_rate
    what = (
        f"out of memory: {len(mixture)} examples of {seconds:g} s at once do not fit on "
        f"{fabric.device}"
    )
    if fits is None:
        remedy = "use shorter examples (chunk_seconds), a smaller network, or another device"
        raise SepkitError(f"{what}, nor does a smaller batch; {remedy}")
    times = whole // fits
    options = f"(--batch {fits} --accumulate {times})"
    raise SepkitError(
        f"{what}, {fits} do; use batch={fits} and accumulate={times} for the same steps {options}"
    )


def _fits(fabric, model, mixture, target):
    model.zero_grad(set_to_none=True)
    if fabric.device.type == "cuda":
        torch.cuda.empty_cache()
    try:
        with fabric.autocast():
            loss = model.loss(mixture, target)
        loss.backward()
    except (RuntimeError, MemoryError) as error:
        if not is_shortage(error):
            raise
        traceback.clear_frames(error.__traceback__)
        return False
    return True


@contextmanager
def enough_memory_for(song, device: torch.device) -> Iterator[None]:
    """Name the song that is too long to be validated in one piece."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_shortage(error):
            raise
        seconds = song.samples / song.sample_rate
        raise SepkitError(
            f"{song.name}: out of memory: {seconds:.0f} s at once do not fit on {device}; "
            "validate with shorter songs, or on a device with more memory"
        ) from None
