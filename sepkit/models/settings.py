"""What the settings of a network may be: kind and range, looked at before memory is taken.

The limits are far beyond any network of the field. What a network needs besides, such as an
even number or one that divides another, its own class says.
"""

from collections.abc import Mapping
from typing import Any

from ..errors import SepkitError
from ..validation import Name, Number, Several, Switch, Text, checked, optional

WIDTH, DEPTH, TAPS = Number(1, 65536), Number(1, 64), Number(1, 1024)
#: Stages of a U-Net: each doubles what the next one spans.
HALVINGS = Number(1, 16)
#: Samples of an STFT window.
WINDOW = Number(2, 2**17)
SECONDS = optional(Number(0.01, 3600, whole=False))
SHARE = Number(0, 1, whole=False)
#: setting -> its kind. Settings that only one network has, or has with another meaning, stand in
#: its class (`Model.kinds`).
KINDS = {
    "target": Name(),
    "targets": optional(Name(), Several(Name())),
    "loss": Text(),
    "sample_rate": Number(100, 1_000_000),
    "channels": Number(1, 64),
    "segment": SECONDS,
    "n_fft": WINDOW,
    "hop": Number(1, 2**17),
    "window": Text(),
    "bandwidth": Number(1, 1_000_000, whole=False),
    "hidden": WIDTH,
    "width": WIDTH,
    "widths": Several(WIDTH, 12),
    "filters": WIDTH,
    "layers": DEPTH,
    "depth": HALVINGS,
    "blocks": DEPTH,
    "bottleneck": Number(0, 64),
    "growth": WIDTH,
    "kernel": TAPS,
    "merge_kernel": TAPS,
    "levels": HALVINGS,
    "dropout": Number(0, 0.99, whole=False),
    "momentum": SHARE,
    "unidirectional": Switch(),
    "context": Switch(),
    "upsampling": Text(),
    "output": Text(),
    "activation": Text(),
    "as_published": Switch(),
}


def checked_settings(settings: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a network, whole floats such as 512.0 as integers where integers belong.

    Parameters
    ----------
    settings : dict
    own : dict
        Kinds of the network's own, which go before those of `KINDS`.

    Raises
    ------
    SepkitError
        Naming the first one that is not of its kind, and what was expected.
    """
    kinds = {**KINDS, **own}
    for name in settings:
        if name not in kinds:
            raise SepkitError(f"{name}: a setting without a kind; add it to the class's `kinds`")
    return {name: checked(name, value, kinds[name]) for name, value in settings.items()}
