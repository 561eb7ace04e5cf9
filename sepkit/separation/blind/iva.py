"""Independent vector analysis: unmixing where sound takes time.

With echoes each channel hears each source through a filter: ``x = sum_j a_j * s_j``.
In the frequency domain this is an instantaneous mixture in every bin, with a complex
matrix of its own. ICA in each bin by itself would leave open which component of one
bin belongs to which of the next; IVA treats a source as one vector over all bins,
whose parts sound at the same time. Chapter 03 uses it.
"""

import torch

from ...errors import SepkitError
from ...stft import STFT
from .assignment import ComponentSeparator
from .components import multichannel, whiten

_RIDGE = 1e-9  # added to each weighted covariance, relative to its own mean variance
_TINY = 1e-20  # and absolutely, with the mixture at unit power: for bins of silence


@torch.no_grad()
def iva(spectrogram: torch.Tensor, iterations: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
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
    `sepkit.separation.blind.project_back`, here in each bin), the first the one with the
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
    products = _ChannelProducts(x)
    for _ in range(iterations):
        for j in range(channels):
            r = products.power(demixing[:, j].conj()).clamp(min=1e-12 * bins).sqrt()  # (N,)
            V = products.covariance(1 / r)  # (F, C, C)
            ridge = _RIDGE * V.diagonal(dim1=-2, dim2=-1).real.mean(-1) + _TINY  # (F,)
            V = V + ridge[:, None, None] * identity
            w = torch.linalg.solve(demixing @ V, identity[:, j])  # (F, C)
            size = torch.einsum("fc,fcd,fd->f", w.conj(), V, w).real.sqrt()
            demixing[:, j] = w.conj() / size[:, None]
    del products
    images = _images(demixing, x, scale, spectrogram.dtype)
    power = torch.stack([image.abs().square().sum((1, 2)) for image in images])  # (J, C)
    order = (power[:, 0] / power.sum(1)).argsort(descending=True)
    return images[order], demixing[:, order] / scale


class _ChannelProducts:
    """All that the updates need of x (F, C, N): the products of its channels, as real numbers.

    With ``R(f, n) = x x^H``, both sums are linear in R: ``sum_f |w^H x|^2 = sum_f w^H R w``
    and ``V = mean_n R / r``. Kept as one real matrix (R's upper triangle, Hermitian as it
    is), each costs one matrix-vector product: 20 times faster than from x.
    """

    def __init__(self, x):
        self.bins, self.channels, self.frames = x.shape
        rows, columns = torch.triu_indices(self.channels, self.channels, device=x.device)
        R = x[:, rows] * x[:, columns].conj()  # (F, pairs, N)
        self.rows, self.columns = rows, columns
        # (F pairs, N) each
        self.real = R.real.reshape(-1, self.frames).contiguous()
        self.imaginary = R.imag.reshape(-1, self.frames).contiguous()
        # (pairs,): R_cd stands for R_dc too
        self.twice = torch.where(rows == columns, 1.0, 2.0).to(R.real)

    def power(self, w):
        """``sum_f |w(f)^H x(f, n)|^2``, (N,), for w (F, C)."""
        a = self.twice * w[:, self.rows].conj() * w[:, self.columns]  # (F, pairs)
        return a.real.flatten() @ self.real - a.imag.flatten() @ self.imaginary

    def covariance(self, weight):
        """``mean_n weight(n) x(f, n) x(f, n)^H``, (F, C, C)."""
        upper = (
            torch.complex(self.real @ weight, self.imaginary @ weight).reshape(self.bins, -1)
            / self.frames
        )
        V = upper.new_empty(self.bins, self.channels, self.channels)
        V[:, self.columns, self.rows] = upper.conj()
        V[:, self.rows, self.columns] = upper
        return V


def _images(demixing, x, scale, dtype):
    """``a_j(f) w_j(f)^H x(f, n)`` with the columns a_j of W^-1, (J, C, F, N)."""
    mixing = torch.linalg.inv(demixing)  # (F, C, J)
    images = torch.empty(
        demixing.shape[1], x.shape[1], x.shape[0], x.shape[2], dtype=dtype, device=x.device
    )
    for j, image in enumerate(images):
        y = demixing[:, j : j + 1] @ x * scale  # (F, 1, N)
        image.copy_((mixing[:, :, j : j + 1] * y).movedim(0, 1))
    return images


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

    def __init__(
        self,
        n_fft: int = 4096,
        hop: int = 1024,
        iterations: int = 40,
        name: str = "iva",
        residual: str | None = None,
    ):
        super().__init__(name, residual=residual)
        self.stft, self.iterations, self.steps = STFT(n_fft, hop), iterations, (hop,)

    def components(self, mixture):
        """One image per source, that with most of the first channel first."""
        whiten(multichannel(mixture, self.name), self.name)  # refuses what cannot be unmixed
        images, _ = iva(self.stft(mixture), self.iterations)
        return self.stft.inverse(images, mixture.shape[-1])

    def describe(self):
        """The STFT and the rounds, beside what every method of components says."""
        return {
            **super().describe(),
            "n_fft": self.stft.n_fft,
            "hop": self.stft.hop,
            "iterations": self.iterations,
        }


def _checked(spectrogram):
    """(F, C, N) in double precision at unit power, and the scale taken out."""
    if not spectrogram.is_complex() or spectrogram.ndim != 3 or spectrogram.shape[0] < 2:
        raise SepkitError(
            f"iva: got {spectrogram.dtype} of shape {tuple(spectrogram.shape)}; expected "
            "complex (channels, bins, frames), "
            "2 channels or more"
        )
    channels, _, frames = spectrogram.shape
    if frames <= channels:
        raise SepkitError(
            f"iva: {frames} frames of {channels} channels are too few to learn from; use a "
            "longer recording or a shorter hop"
        )
    x = spectrogram.to(torch.complex128).movedim(-2, 0)  # (F, C, N)
    scale = x.abs().square().mean().sqrt()
    if not torch.isfinite(scale) or scale == 0:
        what = "silent" if scale == 0 else "not finite"
        raise SepkitError(f"iva: the spectrogram is {what}; expected sound in each channel")
    return x / scale, scale
