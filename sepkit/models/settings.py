"""What the settings of a network may be: the kind and range of each, looked at before any memory is taken.

The limits are far beyond any network of the field. What a network needs besides, such as an
even number or one that divides another, its own class says.
"""

import math
from dataclasses import dataclass
from numbers import Integral, Real

from ..errors import SepkitError
from ..names import fault


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, both included."""

    low: float
    high: float
    whole: bool = True

    def fits(self, value):
        kind = Integral if self.whole else Real
        return isinstance(value, kind) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self):
        return f"a {'whole ' if self.whole else ''}number from {self.low:g} to {self.high:g}"


class Switch:
    def fits(self, value):
        return isinstance(value, bool)

    def __str__(self):
        return "true or false"


class Text:
    def fits(self, value):
        return isinstance(value, str) and 0 < len(value) <= 100 and value.isprintable()

    def __str__(self):
        return "a name of at most 100 characters"


class Name:
    """What may become the name of a file, such as a target's."""

    def fits(self, value):
        return fault(value) is None

    def __str__(self):
        return "a plain name, without folders"


@dataclass(frozen=True)
class Several:
    """A sequence of 1 to `most` values of a kind."""

    kind: object
    most: int = 64

    def fits(self, value):
        listed = isinstance(value, (list, tuple)) and 1 <= len(value) <= self.most
        return listed and all(self.kind.fits(one) for one in value)

    def __str__(self):
        return f"a list of {self.kind}" if self.kind.__class__ is not Number else f"a list, each {self.kind}"


@dataclass(frozen=True)
class Either:
    """A value of one of several kinds; None stands for null."""

    kinds: tuple

    def fits(self, value):
        return any(value is None if kind is None else kind.fits(value) for kind in self.kinds)

    def __str__(self):
        return " or ".join("null" if kind is None else str(kind) for kind in self.kinds)


def optional(*kinds):
    return Either((*kinds, None))


_WIDTH, _DEEP, _TAPS = Number(1, 65536), Number(1, 64), Number(1, 1024)
_HALVINGS = Number(1, 16)  # each doubles what the next one spans
_WINDOW = Number(2, 2**17)
_SECONDS = optional(Number(0.01, 3600, whole=False))
_PART = Number(0, 1, whole=False)
#: setting -> its kind; "model.setting" where one model has another meaning than the others
KINDS = {
    "target": Name(), "open-unmix-waveform.target": optional(Name()), "scnet.target": optional(Name()),
    "wave-u-net.target": optional(Name()), "conv-tasnet.target": optional(Name()), "hybrid-demucs.target": optional(Name()),
    "targets": optional(Name(), Several(Name())), "loss": Text(), "sample_rate": Number(100, 1_000_000), "channels": Number(1, 64),
    "n_fft": _WINDOW, "tfc-tdf.n_fft": optional(_WINDOW), "hop": Number(1, 2**17), "window": Text(), "bsrnn.window": _SECONDS,
    "window_hop": _SECONDS, "segment": _SECONDS, "bandwidth": Number(1, 1_000_000, whole=False),
    "hidden": _WIDTH, "bsrnn.hidden": optional(_WIDTH), "layers": _DEEP, "conv-tasnet.layers": _HALVINGS, "heads": _WIDTH,
    "feedforward": optional(_WIDTH), "features": _WIDTH, "mlp": optional(_WIDTH), "norm_frames": optional(Number(1, 100_000)),
    "filters": _WIDTH, "width": _WIDTH, "widths": Several(_WIDTH, 12), "length": Number(2, 65536), "levels": _HALVINGS,
    "depth": _HALVINGS, "blocks": _DEEP, "bottleneck": Number(0, 64), "tfc-tdf.bottleneck": _WIDTH, "convolutions": _DEEP,
    "stacks": _DEEP, "bins": Number(1, 2**17), "growth": _WIDTH, "hybrid-demucs.growth": Number(1, 16, whole=False),
    "kernel": _TAPS, "merge_kernel": _TAPS, "kernels": Several(_TAPS), "strides": Several(_TAPS), "depths": Several(Number(0, 64)),
    "shares": Several(_PART), "split": optional(Text(), Several(Several(Number(1, 1_000_000, whole=False), 2))),
    "dropout": Number(0, 0.99, whole=False), "momentum": _PART, "unidirectional": Switch(), "context": Switch(), "phase": Switch(),
    "addition": Switch(), "stereo": Text(), "precision": Text(), "upsampling": Text(), "output": Text(), "activation": Text(),
    "tcn": Text(),
}  # fmt: skip


def checked(model, settings):
    """The settings of a model, whole floats such as 512.0 as integers where integers belong.

    Raises
    ------
    SepkitError
        Naming the first one that is not of its kind, and what was expected.
    """
    clean = {}
    for name, value in settings.items():
        kind = KINDS.get(f"{model}.{name}", KINDS[name])
        if isinstance(value, float) and math.isfinite(value) and value == int(value) and not kind.fits(value):
            value = int(value)
        if not kind.fits(value):
            raise SepkitError(f"{name}={_short(value)}: {kind} was expected")
        clean[name] = value
    return clean


def _short(value):
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
