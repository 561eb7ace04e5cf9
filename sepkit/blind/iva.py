"""Independent vector analysis: unmixing where sound takes time.

With echoes each channel hears each source through a filter: ``x = sum_j a_j * s_j``.
In the frequency domain this is an instantaneous mixture in every bin, with a complex
matrix of its own. ICA in each bin by itself would leave open which component of one
bin belongs to which of the next; IVA treats a source as one vector over all bins,
whose parts sound at the same time. Chapter 03 uses it.
"""

import torch

from ..errors import SepkitError
from ..stft import STFT
from .assignment import ComponentSeparator
from .components import _several, whiten

_RIDGE = 1e-9  # what is added to each weighted covariance, of its own mean variance
_TINY = 1e-20  # and absolutely, with the mixture at unit power: for bins of silence


@torch.no_grad()
def iva(spectrogram, iterations=40):
    """Separate as many sources as channels by AuxIVA with iterative projection.

    Model: the vector ``y_j(n)`` over all bins is spherically Laplacian (Kim, Attias,
    Lee and Lee, IEEE TASLP 2007). The update of Ono, "Stable and fast update rules
    for independent vector analysis based on auxiliary function technique", WASPAA
    2011, for each source j in turn:

    - ``r(n) = sqrt(sum_f |w_j(f)^H x(f, n)|^2)``
    - ``V(f) = mean over n of x(f, n) x(f, n)^H / r(n)``
    - ``w_j(f) = (W(f) V(f))^-1 e_j``, then divided by ``sqrt(w_j^H V w_j)``

    W starts at the identity divided by each bin's level. There is no step size, and
    the objective never grows. What comes back are images (see
    `sepkit.blind.project_back`, here in each bin), the first the one with the
    largest share of the first channel.

    Parameters
    ----------
    spectrogram : complex tensor (channels, bins, frames)
        The window should be longer than the reverberation, and there should be many
        frames: about ten seconds or more.
    iterations : int

    Returns
    -------
    images : complex tensor (sources, channels, bins, frames)
        They sum to the spectrogram.
    demixing : complex128 tensor (bins, sources, channels)
        W: ``y(f, n) = W(f) x(f, n)``.

    Raises
    ------
    SepkitError
        For fewer than two channels, no more frames than channels, silence, or values
        that are not finite.
    """
    x, scale = _checked(spectrogram)  # (F, C, N)
    bins, channels, frames = x.shape
    level = x.abs().square().mean((1, 2)).sqrt().clamp(min=_TINY**0.5)  # (F,)
    identity = torch.eye(channels, dtype=x.dtype, device=x.device)
    demixing = identity / level[:, None, None]  # (F, J, C)
    for _ in range(iterations):
        for j in range(channels):
            y = demixing[:, j : j + 1] @ x  # (F, 1, N)
            r = y.abs().square().sum((0, 1)).sqrt()  # (N,)
            weight = 1 / r.clamp(min=1e-6 * bins**0.5)
            V = (x * weight) @ x.mH / frames  # (F, C, C)
            ridge = _RIDGE * V.diagonal(dim1=-2, dim2=-1).real.mean(-1) + _TINY  # (F,)
            V = V + ridge[:, None, None] * identity
            w = torch.linalg.solve(demixing @ V, identity[:, j])  # (F, C)
            size = torch.einsum("fc,fcd,fd->f", w.conj(), V, w).real.sqrt()
            demixing[:, j] = w.conj() / size[:, None]
    sources = demixing @ x  # (F, J, N)
    mixing = torch.linalg.inv(demixing)  # (F, C, J)
    images = torch.einsum("fcj,fjn->jcfn", mixing, sources) * scale
    power = images.abs().square().sum((2, 3))  # (J, C)
    order = (power[:, 0] / power.sum(1)).argsort(descending=True)
    return images[order].to(spectrogram.dtype), demixing[:, order] / scale


class IVASeparator(ComponentSeparator):
    """Independent vector analysis, `iva`: for as many sources as channels, with echoes.

    Parameters
    ----------
    n_fft, hop : int
        Hann window and hop: longer than most of the reverberation.
    iterations : int
    name : str
    residual : None, "spread" or "residual"
    """

    def __init__(self, n_fft=4096, hop=2048, iterations=40, name="iva", residual=None):
        super().__init__(name, residual=residual)
        self.stft, self.iterations, self.steps = STFT(n_fft, hop), iterations, (hop,)

    def components(self, mixture):
        whiten(_several(mixture, self.name), self.name)  # refuses what cannot be unmixed
        images, _ = iva(self.stft(mixture), self.iterations)
        return self.stft.inverse(images, mixture.shape[-1])

    def describe(self):
        return {**super().describe(), "n_fft": self.stft.n_fft, "hop": self.stft.hop, "iterations": self.iterations}


def _checked(spectrogram):
    """(F, C, N) in double precision at unit power, and the scale taken out."""
    if not spectrogram.is_complex() or spectrogram.ndim != 3 or spectrogram.shape[0] < 2:
        raise SepkitError(
            f"iva: got {spectrogram.dtype} of shape {tuple(spectrogram.shape)}; expected complex (channels, bins, frames), 2 channels or more"
        )
    channels, _, frames = spectrogram.shape
    if frames <= channels:
        raise SepkitError(f"iva: {frames} frames of {channels} channels are too few to learn from; use a longer recording or a shorter hop")
    x = spectrogram.to(torch.complex128).movedim(-2, 0)  # (F, C, N)
    scale = x.abs().square().mean().sqrt()
    if not torch.isfinite(scale) or scale == 0:
        what = "silent" if scale == 0 else "not finite"
        raise SepkitError(f"iva: the spectrogram is {what}; expected sound in each channel")
    return x / scale, scale
