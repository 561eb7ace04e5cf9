"""Which recipe and which network belong to a size: ``student`` or ``paper``.

A student's network trains on one CPU core while its chapter is read; a paper's has
the authors' settings.
"""

from .. import models
from ..errors import SepkitError, unknown
from ..models import (
    bsrnn,
    conv_tasnet,
    hybrid_demucs,
    open_unmix_variants,
    resunet,
    scnet,
    wave_u_net,
)
from . import STUDENT, STUDENT_MODEL, Recipe

SIZES = ("student", "paper")
#: For networks that learn on waveforms, with the same loss as `STUDENT`; ResUNet's head falls silent for good at larger steps.
_WAVEFORM = STUDENT.but(batch=4, lr=4e-3, clip=5.0)
_RESUNET = _WAVEFORM.but(lr=1e-3, max_steps=1200)
_CONVOLUTIONS = _WAVEFORM.but(batch=2, lr=1e-3)  # not tuned: tried for seconds only, in chapter 09
_STUDENT = {
    "open-unmix": (STUDENT, STUDENT_MODEL),
    "open-unmix-transformer": (STUDENT, open_unmix_variants.STUDENT_TRANSFORMER),
    "open-unmix-waveform": (_CONVOLUTIONS, open_unmix_variants.STUDENT_WAVEFORM),
    "bsrnn": (_WAVEFORM, bsrnn.SIZES["student"]),
    "resunet-subbandtime": (_RESUNET, resunet.STUDENT_MODEL),
    "scnet": (_CONVOLUTIONS, scnet.SIZES["student"]),
    "wave-u-net": (_CONVOLUTIONS, {**wave_u_net.STUDENT_MODEL, "output": "direct"}),
    "conv-tasnet": (_CONVOLUTIONS, conv_tasnet.STUDENT_MODEL),
    "hybrid-demucs": (_CONVOLUTIONS, hybrid_demucs.STUDENT_MODEL),
}
#: Luo and Yu 2022: salient segments of 6 s, each stem's from a song of its own, of which 3 s are taken at random; levels within
#: 10 dB, a tenth of the stems dropped; 100 epochs of 10,000 steps. Theirs are 8 GPUs with 2 examples each: on one, batch=16.
_BSRNN = Recipe(
    batch=16,
    chunk_seconds=6.0,
    cut_seconds=3.0,
    samples_per_track=1860,
    activity=True,
    gains=None,
    gain_db=(-10, 10),
    swap=0.0,
    silence=0.1,
    normalise=True,
    lr=1e-3,
    weight_decay=0.0,
    schedule="epochs",
    decay=0.98,
    decay_every=2,
    clip=5.0,
    patience=10,
    epochs=100,
)
#: Kong et al. 2021. Their "mix-audio" adds up two segments of each source; here each example has one.
_KONG = Recipe(
    batch=16,
    chunk_seconds=3.0,
    samples_per_track=1860,
    gains=None,
    swap=0.0,
    lr=1e-3,
    weight_decay=0.0,
    amsgrad=True,
    schedule="steps",
    decay=0.9,
    decay_every=15_000,
    warm_up=1000,
    patience=1000,
    max_steps=500_000,
)
#: The authors' recipes; Open-Unmix's are the defaults (Stöter et al. 2019). 1860 examples of each of MUSDB18's 86 songs
#: are 10,000 steps of 16.
_PAPER = {
    "open-unmix": Recipe(),
    "bsrnn": _BSRNN,
    "resunet-ismir2021": _KONG,
    "resunet-subbandtime": _KONG,
}


def recipe_for(model, size="student"):
    """The recipe of a network and size, and the network's settings.

    Parameters
    ----------
    model : str
        A key of `sepkit.models.MODELS`.
    size : {"student", "paper"}
        Models without a recipe of their own have, as ``"paper"``, that of Open-Unmix.

    Returns
    -------
    Recipe, dict

    Raises
    ------
    SepkitError
        For an unknown model or size, or a model without a student's size.
    """
    if model not in models.MODELS:
        raise unknown("model", model, models.MODELS)
    if size not in SIZES:
        raise unknown("size", size, SIZES)
    if size == "paper":
        return _PAPER.get(model, Recipe()), {}
    if model not in _STUDENT:
        raise SepkitError(
            f"{model} has no student size; choose --size paper, or one of {', '.join(_STUDENT)}"
        )
    return _STUDENT[model]
