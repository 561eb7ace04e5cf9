"""Weights of the best-known public band-split RNN, github.com/amanteur/BandSplitRNN-PyTorch.

Its file holds one module a band; `sepkit.models.bsrnn` stores bands of equal
width together. Its norms span features and a fixed number of frames, and every
gate has a linear layer of its own: with these shapes the layout has exactly the
parameters that are reported of it, 32,414,628 for vocals, 33,371,812 for bass
and 35,954,340 for drums.
"""

import torch

from ..errors import SepkitError
from .checkpoints import fill

#: Part of ours -> name in the file for band {k}, and which axes of ours (in, out) run over the band's
#: features. These the file has in the order (channel, real or imaginary part, bin), ours (channel, bin, part).
ENDS = {
    "encoder.norms": ("bandsplit.layernorms.{k}", "out"),
    "encoder.maps": ("bandsplit.fcs.{k}", "in"),
    "decoder.norms": ("maskest.layernorms.{k}", ""),
    "decoder.hidden": ("maskest.mlp.{k}.mlp.0", ""),
    "decoder.output": ("maskest.mlp.{k}.mlp.2", "out"),
    "decoder.gate": ("maskest.mlp.{k}.mlp.3.linear", "in out"),
}
#: Layer {i}, with {j} = 0 over time and 1 over bands, and its parts.
LAYER, LAYER_PARTS = "bandsequence.bsrnn.{i}.{j}", {"norm": "groupnorm", "rnn": "rnn", "fc": "fc"}
SOURCE, REMEDY = "the published weights", "are they of another target or split?"


def load(model, state):
    """Fill a `BSRNN` that was built with ``norm_frames`` from a state dict of that layout.

    Parameters
    ----------
    model : BSRNN
    state : dict of str to Tensor

    Raises
    ------
    SepkitError
        If the model is of the paper's layout, or weights are missing, left over,
        of another shape, NaN or infinite; naming them.
    """
    if not model.settings["norm_frames"]:
        raise SepkitError(
            f"{SOURCE} of BSRNN belong to norms of a fixed length; build the model with norm_frames=263"
        )
    names = key_map(model)
    known = {name for some in names.values() for name in some}
    for what, keys in (
        ("lack", known - state.keys()),
        ("hold an unexpected", state.keys() - known),
    ):
        if keys:
            raise SepkitError(
                f"{SOURCE} {what} {', '.join(sorted(keys)[:3])}{' ...' * (len(keys) > 3)}; {REMEDY}"
            )
    wanted, weights = model.state_dict(), {}
    for key, some in names.items():
        if key.startswith("layers."):
            weights[key] = state[some[0]]
        else:
            order, shape = _order(model, key), wanted[key].shape
            bands = [_arrange(state[name], name, key, shape[-2:], order) for name in some]
            weights[key] = torch.stack(bands).view(shape)
    fill(model, weights, SOURCE)


def key_map(model):
    """{key of ours: [keys of the file, one a band or one in all]}."""
    names = {}
    for key in model.state_dict():
        *path, kind = key.split(".")
        if path[0] == "layers":
            _, i, j, part = path
            names[key] = [f"{LAYER.format(i=i, j=j)}.{LAYER_PARTS[part]}.{kind}"]
        else:
            _, bands = model.encoder.groups[int(path[2])]
            names[key] = [f"{ENDS['.'.join(path[:2])][0].format(k=band)}.{kind}" for band in bands]
    return names


def _order(model, key):
    """For a key of one group: where the file has each of a band's features."""
    group = int(key.split(".")[2])
    width, size = model.encoder.groups[group][0], model.encoder.norms[group].weight.shape[-1]
    return torch.arange(size).view(-1, 2, width).transpose(1, 2).flatten()


def _arrange(x, name, key, shape, order):
    """A tensor of the file as one band of ours, of `shape` (in, out): matrices are turned, features put in order."""
    part = ".".join(key.split(".")[:2])
    axes = ENDS[part][1]
    if x.ndim == 2 and not (
        part == "decoder.norms" and x.shape == shape
    ):  # that one lies as ours, (frames, features)
        x = x.T
    if x.shape[-2:] != shape and x.shape != shape[-1:]:
        raise SepkitError(
            f"{SOURCE}: {name} is for {tuple(x.shape)} values, {tuple(shape)} were expected; {REMEDY}"
        )
    x = x.view(shape) if x.ndim == 1 else x
    if "in" in axes and shape[0] > 1:
        x = x[order]
    if "out" in axes:
        x = x[
            :, torch.cat([order + k * len(order) for k in range(shape[1] // len(order))])
        ]  # a gate has two halves
    return x
