"""The names that ResUNet's authors gave their weights.

The layout is that of bytedance/music_source_separation, commit c8e7fd6, one file a target.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import SepkitError
from .base import Model

#: Their STFT is a convolution whose weights lie in the file; ours is computed, and only the window
#: is compared.
WINDOW = "stft.conv_real.weight"
TRANSFORMS = {
    WINDOW,
    "stft.conv_imag.weight",
    "istft.ola_window",
    "istft.conv_real.weight",
    "istft.conv_imag.weight",
}
#: In-place normalisation takes the magnitude of its scale, plus this (inplace_abn 1.x).
ABN_EPSILON = 1e-5

_PLACES = (  # ours, theirs: {0}, {1} stand for numbers counted from 0
    (r"input_norm\.", "bn0."),
    (r"head\.", "after_conv2."),
    (r"pqmf\.analysis_filters", "pqmf.ana_conv_filter.weight"),
    (r"pqmf\.synthesis_filters", "pqmf.syn_conv_filter.weight"),
    (r"decoder\.(\d+)\.norm\.", "decoder_block{0}.bn1."),
    (r"decoder\.(\d+)\.up\.(?:0\.)?", "decoder_block{0}.conv1."),
)
_STAGES = (  # ours; theirs, with a block a number; theirs, with a stage of one block
    (
        r"encoder\.(\d+)\.stage\.(\d+)\.",
        "encoder_block{stage}.conv_block{block}.",
        "encoder_block{stage}.conv_block.",
    ),
    (r"bottleneck\.(\d+)\.(\d+)\.", "conv_block7{letter}.conv_block{block}.", "conv_block7."),
    (
        r"decoder\.(\d+)\.stage\.(\d+)\.",
        "decoder_block{stage}.conv_block{following}.",
        "decoder_block{stage}.conv_block2.",
    ),
    (r"()last\.(\d+)\.", "after_conv_block1.conv_block{block}.", "after_conv_block1."),
)


def renamed(state: Mapping[str, Any], model: Model) -> dict[str, Tensor]:
    """Weights of the authors under our names.

    Parameters
    ----------
    state : dict
        Their state dict.
    model : ResUNet
        The network that they are for.

    Returns
    -------
    dict of str to Tensor
        Names that are not known stay as they are, for `fill` to complain about.

    Raises
    ------
    SepkitError
        If the file's STFT is another than the model's.
    """
    _check_window(state, model)
    in_place = any(".abn2." in key for key in state)
    ours = {
        published_name(key, separable=model.name == "resunet-mobilenet", in_place=in_place): key
        for key in model.state_dict()
    }
    weights = {ours.get(key, key): value for key, value in state.items() if key not in TRANSFORMS}
    if in_place:
        _convert_in_place(weights, ours)
    return weights


def published_name(key: str, separable: bool = False, in_place: bool = False) -> str:
    """What the authors call one of our weights.

    Parameters
    ----------
    key : str
        A name in our state dict.
    separable : bool
        The layout of the MobileNet, whose stages are single blocks of six layers.
    in_place : bool
        The layout of ISMIR2021, whose second normalisations are called ``abn2``.
    """
    for ours, theirs in _PLACES:
        if found := re.match(ours, key):
            return (
                theirs.format(*(int(number) + 1 for number in found.groups())) + key[found.end() :]
            )
    for ours, blocks, one_block in _STAGES:
        if found := re.match(ours, key):
            stage, block = int(found[1] or 0), int(found[2])
            place = (one_block if separable else blocks).format(
                stage=stage + 1, letter=chr(ord("a") + stage), block=block + 1, following=block + 2
            )
            numbers = [f"{block + 1}{letter}" for letter in "abc"] if separable else ["1", "2"]
            layer = _layer(key[found.end() :], numbers)
            return place + (layer.replace("bn2.", "abn2.") if in_place else layer)
    raise KeyError(key)


def _layer(name, numbers):
    """``layers.1.norm.weight`` as ``bn2.weight``; the shortcut keeps its name."""
    found = re.match(r"layers\.(\d+)\.(norm|conv)\.", name)
    if not found:
        return name
    return (
        {"norm": "bn", "conv": "conv"}[found[2]]
        + numbers[int(found[1])]
        + "."
        + name[found.end() :]
    )


def _convert_in_place(weights, ours):
    for theirs, key in ours.items():
        if theirs.endswith(".abn2.weight") and key in weights:
            weights[key] = weights[key].abs() + ABN_EPSILON
        if theirs.endswith(".abn2.num_batches_tracked"):
            weights.setdefault(key, torch.tensor(0))  # theirs does not count


def _check_window(state, model):
    kernel = state.get(WINDOW)  # (F, 1, n_fft): cosines times the window
    if kernel is None:
        return
    window = kernel[0, 0]  # the cosine of frequency 0 is 1
    expected = torch.hann_window(model.stft.n_fft)
    if window.shape != expected.shape or not torch.allclose(
        window.cpu().float(), expected, atol=1e-4
    ):
        raise SepkitError(
            f"the weights are for another STFT than {model.name}'s Hann window of "
            f"{model.stft.n_fft} samples ({WINDOW} has shape {tuple(kernel.shape)}); choose the "
            "network that they belong to"
        )
