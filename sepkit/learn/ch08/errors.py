"""Estimates that are wrong in one known way, to see what a metric makes of it (chapter 08).

A separator makes all its errors at once. Here each has its own knob: what leaked from
other stems, what belongs to no stem, a wrong level, a delay, exchanged channels.
`distort` turns the knobs; `spoil` makes one kind of error exactly as large as an SDR says.
"""

from __future__ import annotations

import torch

from ...errors import SepkitError, unknown
from ...stft import STFT

KINDS = ("interference", "artefact", "level", "echo")
ECHO_SECONDS = 0.08  # late enough to be heard as an echo, and far beyond BSSEval's 512 taps


def distort(
    reference: torch.Tensor,
    others: torch.Tensor,
    interference_db: float | None = None,
    artefact_db: float | None = None,
    gain_db: float = 0.0,
    delay: int = 0,
    swap: bool = False,
    seed: int = 0,
) -> torch.Tensor:
    """Return the reference with errors of known sizes.

    First the channels are exchanged, then the delay and the gain applied; interference
    and artefacts are added last.

    Parameters
    ----------
    reference : Tensor (channels, samples)
    others : Tensor (channels, samples)
        The sum of the other stems.
    interference_db, artefact_db : float or None
        Energy of what is added, in dB relative to the reference; None adds nothing.
        Interference is `others`, artefacts are `flicker`.
    gain_db : float
        Gain of the reference.
    delay : int
        Samples by which it comes late; the end is cut off.
    swap : bool
        Exchange left and right.
    seed : int
        Of the artefacts.

    Returns
    -------
    Tensor (channels, samples)

    Raises
    ------
    SepkitError
        If the shapes differ, the delay is negative or longer than the audio, channels are to
        be exchanged and there are not two, or an error is asked of silence.
    """
    _check(reference, others)
    channels, samples = reference.shape
    if not 0 <= delay < samples:
        raise SepkitError(f"distort: delay={delay}; expected 0 to {samples - 1} samples")
    if swap and channels != 2:
        raise SepkitError(
            f"distort: swap exchanges left and right, and the reference has {channels} channel(s)"
        )
    estimate = reference.flip(0) if swap else reference.clone()
    estimate = late(estimate, delay) * 10 ** (gain_db / 20)
    if interference_db is not None:
        estimate = estimate + at_level(others, reference, interference_db)
    if artefact_db is not None:
        estimate = estimate + at_level(flicker(reference, seed), reference, artefact_db)
    return estimate


def spoil(
    kind: str,
    reference: torch.Tensor,
    others: torch.Tensor,
    sample_rate: int,
    sdr_db: float,
    seed: int = 0,
) -> torch.Tensor:
    """Return the reference with one kind of error, as large as a given SDR says.

    Parameters
    ----------
    kind : str
        ``"interference"`` (the other stems), ``"artefact"`` (`flicker`), ``"level"``
        (too quiet) or ``"echo"`` (the stem once more, 80 ms late).
    reference, others : Tensor (channels, samples)
    sample_rate : int
        In Hz.
    sdr_db : float
        The SDR of the result, whichever the kind. Above 0 for ``"level"``.
    seed : int

    Returns
    -------
    Tensor (channels, samples)

    Raises
    ------
    SepkitError
        For an unknown kind; or as `distort`.
    """
    if kind not in KINDS:
        raise unknown("kind of error", kind, KINDS)
    _check(reference, others)
    if kind == "level" and sdr_db <= 0:
        raise SepkitError(
            f"spoil: sdr_db={sdr_db}; a stem that is only too quiet has an SDR above 0 dB"
        )
    error = {
        "interference": lambda: others,
        "artefact": lambda: flicker(reference, seed),
        "level": lambda: -reference,
        "echo": lambda: late(reference, int(ECHO_SECONDS * sample_rate)),
    }[kind]()
    return reference + at_level(error, reference, -sdr_db)


def flicker(reference: torch.Tensor, seed: int = 0, n_fft: int = 2048) -> torch.Tensor:
    """Make musical noise: the bins of a spectrogram with random signs.

    It follows the loudness of the reference over time and frequency (about 6 dB below it, since
    the signs of neighbouring bins contradict each other), so it stops where it stops. But it is
    no delayed copy of it, nor of any other stem: BSSEval has no name for it but artefact.

    Parameters
    ----------
    reference : Tensor (channels, samples)
    seed : int
    n_fft : int
        The hop is a quarter of it.

    Returns
    -------
    Tensor (channels, samples)
    """
    stft = STFT(n_fft, n_fft // 4)
    spectrum = stft(reference)
    generator = torch.Generator().manual_seed(seed)
    signs = 2.0 * torch.randint(0, 2, spectrum.shape, generator=generator) - 1
    noise = stft.inverse(signs.to(spectrum.device) * spectrum, reference.shape[-1])
    energy = reference.square().sum(-1, keepdim=True)
    share = (noise * reference).sum(-1, keepdim=True) / torch.where(
        energy > 0, energy, torch.ones_like(energy)
    )
    return noise - share * reference  # a tone has few bins, whose signs need not cancel out


def late(x: torch.Tensor, delay: int) -> torch.Tensor:
    """Put `x` (..., samples) after `delay` samples of silence, cut to its length."""
    return torch.nn.functional.pad(x, (delay, 0))[..., : x.shape[-1]]


def at_level(x: torch.Tensor, reference: torch.Tensor, level_db: float) -> torch.Tensor:
    """Scale `x` so that its energy lies `level_db` dB above that of the reference."""
    energy, wanted = x.double().square().sum(), reference.double().square().sum()
    if energy == 0 or wanted == 0:
        raise SepkitError(
            "an error of known size needs sound, but the reference or what is to be added is"
            " silent; choose another excerpt"
        )
    return x * float((wanted / energy).sqrt() * 10 ** (level_db / 20))


def error_energies(sdr: float, isr: float, sir: float, sar: float) -> dict[str, float]:
    """Find the energies of the parts of an error, from BSSEval's four ratios over one frame.

    The three parts stand at right angles (Vincent, Gribonval and Févotte 2006): with the
    projections P_s and P, ``|P_s|^2 = x`` and ``|P|^2 = x + |P - P_s|^2``, and the parts add
    up to the whole error. That is one equation for x.

    Parameters
    ----------
    sdr, isr, sir, sar : float
        In dB, of a single frame as long as the signals.

    Returns
    -------
    dict of str to float
        ``reference`` (1), ``spatial``, ``interference`` and ``artefacts``.
    """
    whole, spatial, interference, artefacts = (
        10 ** (-value / 10) for value in (sdr, isr, sir, sar)
    )
    per_x = interference + (1 + interference) * artefacts
    x = max(0.0, whole - spatial) / per_x if per_x else 0.0
    return {
        "reference": 1.0,
        "spatial": spatial,
        "interference": x * interference,
        "artefacts": x * (1 + interference) * artefacts,
    }


def stem_gain(reference: torch.Tensor, estimate: torch.Tensor) -> float:
    """Find how much of a stem is in an estimate: the factor that fits it best without delays.

    Parameters
    ----------
    reference, estimate : (channels, samples)

    Returns
    -------
    float
        ``<estimate, reference> / |reference|^2``, 1 for the stem itself; NaN for a silent stem.
    """
    reference, estimate = reference.double(), estimate.double()
    return float((estimate * reference).sum() / reference.square().sum())


def _check(reference, others):
    if reference.ndim != 2 or reference.shape != others.shape:
        raise SepkitError(
            f"the reference has shape {tuple(reference.shape)}, the other stems"
            f" {tuple(others.shape)}; expected one shape (channels, samples)"
        )
