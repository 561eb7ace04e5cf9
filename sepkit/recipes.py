"""Which recipe and which network belong to a size: ``student`` or ``paper``.

A student's network trains on one CPU core while its chapter is read; a paper's has
the authors' settings, as far as the loop of `sepkit.training` follows them.
"""

from . import models
from .errors import SepkitError, unknown
from .models import bsrnn, conv_tasnet, hybrid_demucs, open_unmix_variants, resunet, scnet, wave_u_net
from .training import STUDENT, STUDENT_MODEL, Recipe

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
#: The authors' recipes: Stöter et al. 2019; Luo and Yu 2022 (without its decay of the step size); Kong et al. 2021 (likewise).
_PAPER = {
    "open-unmix": Recipe(),
    "bsrnn": Recipe(batch=16, chunk_seconds=3.0, lr=1e-3, weight_decay=0.0, clip=5.0, patience=10, epochs=100),
    "resunet-ismir2021": Recipe(batch=16, chunk_seconds=3.0, lr=1e-3, weight_decay=0.0, max_steps=500_000),
    "resunet-subbandtime": Recipe(batch=16, chunk_seconds=3.0, lr=1e-3, weight_decay=0.0, max_steps=500_000),
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
        raise SepkitError(f"{model} has no student size; choose --size paper, or one of {', '.join(_STUDENT)}")
    return _STUDENT[model]
