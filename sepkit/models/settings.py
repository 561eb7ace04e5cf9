"""What the settings of a network may be: kind and range, looked at before memory is taken.

The limits are far beyond any network of the field. What a network needs besides, such as an
even number or one that divides another, its own class says.
"""

from ..validation import Name, Number, Several, Switch, Text, checked, optional

_WIDTH, _DEEP, _TAPS = Number(1, 65536), Number(1, 64), Number(1, 1024)
_HALVINGS = Number(1, 16)  # each doubles what the next one spans
_WINDOW = Number(2, 2**17)
_SECONDS = optional(Number(0.01, 3600, whole=False))
_PART = Number(0, 1, whole=False)
#: setting -> its kind; "model.setting" where one model has another meaning than the others
KINDS = {
    "target": Name(),
    "open-unmix-waveform.target": optional(Name()),
    "scnet.target": optional(Name()),
    "wave-u-net.target": optional(Name()),
    "conv-tasnet.target": optional(Name()),
    "hybrid-demucs.target": optional(Name()),
    "targets": optional(Name(), Several(Name())),
    "loss": Text(),
    "sample_rate": Number(100, 1_000_000),
    "channels": Number(1, 64),
    "n_fft": _WINDOW,
    "tfc-tdf.n_fft": optional(_WINDOW),
    "hop": Number(1, 2**17),
    "window": Text(),
    "bsrnn.window": _SECONDS,
    "window_hop": _SECONDS,
    "segment": _SECONDS,
    "bandwidth": Number(1, 1_000_000, whole=False),
    "hidden": _WIDTH,
    "bsrnn.hidden": optional(_WIDTH),
    "layers": _DEEP,
    "conv-tasnet.layers": _HALVINGS,
    "heads": _WIDTH,
    "feedforward": optional(_WIDTH),
    "features": _WIDTH,
    "mlp": optional(_WIDTH),
    "norm_frames": optional(Number(1, 100_000)),
    "filters": _WIDTH,
    "width": _WIDTH,
    "widths": Several(_WIDTH, 12),
    "length": Number(2, 65536),
    "levels": _HALVINGS,
    "depth": _HALVINGS,
    "blocks": _DEEP,
    "bottleneck": Number(0, 64),
    "tfc-tdf.bottleneck": _WIDTH,
    "convolutions": _DEEP,
    "stacks": _DEEP,
    "bins": Number(1, 2**17),
    "growth": _WIDTH,
    "hybrid-demucs.growth": Number(1, 16, whole=False),
    "kernel": _TAPS,
    "merge_kernel": _TAPS,
    "kernels": Several(_TAPS),
    "strides": Several(_TAPS),
    "depths": Several(Number(0, 64)),
    "shares": Several(_PART),
    "split": optional(Text(), Several(Several(Number(1, 1_000_000, whole=False), 2))),
    "dropout": Number(0, 0.99, whole=False),
    "momentum": _PART,
    "unidirectional": Switch(),
    "context": Switch(),
    "phase": Switch(),
    "addition": Switch(),
    "stereo": Text(),
    "precision": Text(),
    "upsampling": Text(),
    "output": Text(),
    "activation": Text(),
    "tcn": Text(),
}


def checked_settings(model, settings):
    """The settings of a model, whole floats such as 512.0 as integers where integers belong.

    Raises
    ------
    SepkitError
        Naming the first one that is not of its kind, and what was expected.
    """
    return {
        name: checked(name, value, KINDS.get(f"{model}.{name}", KINDS[name]))
        for name, value in settings.items()
    }
