"""The names that the public implementation of the RoFormers gives its weights.

Public checkpoints are trained with github.com/ZFTurbo/Music-Source-Separation-Training, whose
networks are those of the package bs-roformer before version 1 (compared in tests/parity with
0.3.10). Its settings come in a yaml file, see `sepkit.models.roformer_configs`.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import SepkitError
from .roformer_layers import rotation_rates

#: What a name of theirs becomes. Positions are no weights: they are compared, and left out.
_NAMES = (
    (r"layers\.(\d+)\.([01])\.layers\.0\.0\.to_out\.0", r"blocks.\1.\2.attention.out"),
    (r"layers\.(\d+)\.([01])\.layers\.0\.0\.to_(\w+)", r"blocks.\1.\2.attention.\3"),
    (r"layers\.(\d+)\.([01])\.layers\.0\.0\.norm", r"blocks.\1.\2.attention.norm"),
    (r"layers\.(\d+)\.([01])\.layers\.0\.1\.net\.0", r"blocks.\1.\2.feed_forward.norm"),
    (r"layers\.(\d+)\.([01])\.layers\.0\.1\.net\.1", r"blocks.\1.\2.feed_forward.up"),
    (r"layers\.(\d+)\.([01])\.layers\.0\.1\.net\.4", r"blocks.\1.\2.feed_forward.down"),
    (r"layers\.(\d+)\.([01])\.norm", r"blocks.\1.\2.norm"),
    (r"final_norm", r"norm"),
    (r"band_split\.to_features\.(\d+)\.0", r"split.norms.\1"),
    (r"band_split\.to_features\.(\d+)\.1", r"split.linears.\1"),
    (r"mask_estimators\.(\d+)\.to_freqs\.(\d+)\.0\.(\d+)", r"masks.\1.nets.\2.\3"),
)
_RATES = "rotary_embed.freqs"


def renamed(state: Mapping[str, Any], head_width: int) -> dict[str, Tensor]:
    """A state dict of the public implementation under the names of `RoFormer`.

    Names that are not known stay as they are.

    Raises
    ------
    SepkitError
        If positions are turned at other rates than ours.
    """
    result, rates = {}, rotation_rates(head_width)
    for key, value in state.items():
        if key.endswith(_RATES):
            if value.shape != rates.shape or not torch.allclose(value.float(), rates, rtol=1e-2):
                raise SepkitError(
                    f"the published weights: {key} are not the rates of the paper; sepkit has no "
                    "such network"
                )
            continue
        stem, _, last = key.rpartition(".")
        for pattern, ours in _NAMES:
            if re.fullmatch(pattern, stem):
                stem = re.sub(pattern, ours, stem)
                stem = re.sub(r"(blocks\.\d+)\.([01])", _axis, stem)
                break
        result[f"{stem}.{last}"] = value
    return result


def _axis(found):
    return f"{found[1]}.{('time', 'bands')[int(found[2])]}"
