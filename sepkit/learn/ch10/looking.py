"""What a BS-RoFormer's attention looks at, and what its weights are worth. Chapter 10."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import SepkitError
from ...models.roformer_layers import Attention, rotated, rotations


@contextmanager
def recorded(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Record the weights of every attention that computes inside the block.

    Parameters
    ----------
    network : Module
        A BS-RoFormer or Mel-Band RoFormer.

    Yields
    ------
    dict of str to Tensor (rows, heads, T, T)
        Such as ``"blocks.0.time.attention"`` -> its softmax; each row adds up to 1. The rows are
        bands where it looks along time, and frames where it looks along bands.
    """
    found: dict[str, Tensor] = {}

    def keep(name):
        def hook(module, inputs):
            q, k, _ = _parts(module, inputs[0])
            found[name] = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1)

        return hook

    handles = [
        module.register_forward_pre_hook(keep(name))
        for name, module in network.named_modules()
        if isinstance(module, Attention)
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def evened(network: nn.Module, along: str) -> Iterator[None]:
    """Inside the block, every token takes the same share of all others, along one direction.

    Parameters
    ----------
    network : Module
    along : {"time", "bands"}
    """

    def share(module, inputs, output):
        _, _, v = _parts(module, inputs[0])
        y = v.mean(-2, keepdim=True).expand_as(v)  # equal weights: the plain mean of the values
        if module.gates is not None:
            gates = module.gates(module.norm(inputs[0])).transpose(1, 2).sigmoid()
            y = y * gates.unsqueeze(-1)
        return module.out(y.transpose(1, 2).flatten(2))

    handles = [
        module.register_forward_hook(share)
        for name, module in network.named_modules()
        if isinstance(module, Attention) and f".{along}." in name
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def trained_in(folder: str | Path, slug: str) -> Path:
    """The folder of one training among those that an experiment has left.

    Raises
    ------
    SepkitError
        If there is none.
    """
    found = sorted(Path(folder).glob(f"**/{slug}-*/vocals.safetensors"))
    if not found:
        raise SepkitError(f"{folder}: no training of {slug!r} here; run the race above first")
    return found[-1].parent


def near(weights: Tensor, reach: int) -> float:
    """Mean share of the weight that lies at most `reach` places away; weights (..., T, T)."""
    place = torch.arange(weights.shape[-1])
    close = (place[:, None] - place).abs() <= reach
    return float((weights * close).sum(-1).mean())


def below(weights: Tensor, reach: int) -> float:
    """Mean share of the weight that goes 1 to `reach` places back; weights (..., T, T)."""
    place = torch.arange(weights.shape[-1])
    back = place[:, None] - place
    return float((weights * ((back >= 1) & (back <= reach))).sum(-1).mean())


def _parts(module, x):
    """Rotated queries and keys, and values, (rows, heads, T, V) each, as the module has them."""
    qkv = module.qkv(module.norm(x)).unflatten(-1, (3, module.heads, -1))
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    turn = rotations(q.shape[-2], q.shape[-1], q)
    return rotated(q, turn), rotated(k, turn), v
