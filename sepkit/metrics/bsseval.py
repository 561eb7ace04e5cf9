"""BSSEval v4: SDR, ISR, SIR and SAR of images, framewise, as SiSEC 2018 scored.

Vincent, Gribonval and Févotte, "Performance measurement in blind audio source
separation", IEEE TASLP 2006; version 4: Stöter, Liutkus and Ito, "The 2018 Signal
Separation Evaluation Campaign", LVA/ICA 2018. Computed by museval. Chapter 08.
"""

import shutil
import warnings

import numpy as np

from ..errors import SepkitError
from .sdr import frame_samples, pair

TAPS = 512


def ffmpeg_available():
    """Whether ffmpeg and ffprobe are on the PATH; museval and musdb cannot be imported without them."""
    return shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def bss_eval(references, estimates, sample_rate, window=1.0, hop=1.0):
    """SDR, ISR, SIR and SAR of sources that are scored together.

    One set of 512-tap filters for the whole track; frames and silence by the rules
    of `framewise_sdr`. Where only SDR is wanted, `framewise_sdr` gives the same
    values far faster, and without ffmpeg.

    Parameters
    ----------
    references, estimates : (sources, channels, samples)
        Tensors or arrays, in the same order. Estimates are cut or continued by
        zeros to the length of the references.
    sample_rate : int
        In Hz.
    window, hop : float
        In seconds.

    Returns
    -------
    SDR, ISR, SIR, SAR : float64 arrays (sources, frames)
        In dB. All NaN, with a warning, where a source is silent throughout: the
        filters are then undefined.

    Raises
    ------
    SepkitError
        If shapes do not fit, a signal is empty or not finite; or, with the command
        that mends it, if museval or ffmpeg is missing.
    """
    references, estimates = (x.detach().cpu().numpy() for x in pair(references, estimates))
    if references.ndim != 3:
        raise SepkitError(f"bss_eval: expected (sources, channels, samples), got shape {references.shape}")
    size, step = frame_samples(sample_rate, window, hop)
    silent = [
        f"{name} {index}"
        for name, sources in (("reference", references), ("estimate", estimates))
        for index in np.flatnonzero((sources.sum(1) == 0).all(-1))
    ]
    if silent:
        warnings.warn(f"bss_eval: {', '.join(silent)} silent throughout; every score of this track is NaN", stacklevel=2)
        count = max(1, (references.shape[-1] - size + step) // step)
        return tuple(np.full((len(references), count), np.nan) for _ in range(4))
    museval = _museval()
    try:
        return museval.evaluate(references.swapaxes(1, 2), estimates.swapaxes(1, 2), win=size, hop=step, mode="v4")
    except AttributeError as error:  # museval's fallback for singular references names what numpy 2.4 dropped
        if "linalg" not in str(error):
            raise
        raise SepkitError(
            f"bss_eval: the references are linearly dependent, and museval cannot handle that with numpy {np.__version__}; "
            "run: pip install 'numpy<2.4'"
        ) from None


def _museval():
    """Import museval, or say in one line what to install."""
    if not ffmpeg_available():
        raise SepkitError(
            "ISR, SIR and SAR need ffmpeg, which is not on the PATH; install it: apt install ffmpeg (Debian, Ubuntu, Colab), "
            "brew install ffmpeg (macOS), conda install ffmpeg"
        )
    try:
        import museval
    except ImportError:
        raise SepkitError("ISR, SIR and SAR need museval, which is not installed; run: pip install 'sepkit[musdb]'") from None
    return museval
