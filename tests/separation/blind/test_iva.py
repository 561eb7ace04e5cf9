"""IVA on a mixture with echoes: what it gains, and what its equations promise."""

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.metrics.sdr import si_sdr
from sepkit.separation import get
from sepkit.separation.blind import iva
from sepkit.stft import STFT


def gain(name, room, **options):
    """By how many dB of SI-SDR each source's image comes closer than the mixture is."""
    mixture = sum(room.values())
    estimates = get(name, **options).separate(mixture, room)
    return torch.stack(
        [si_sdr(image, estimates[k]) - si_sdr(image, mixture) for k, image in room.items()]
    )


def objective(spectrogram, demixing):
    """Sum of the sources' mean norms, less the log determinants (Ono 2011, eq. 6, G(r) = r)."""
    y = demixing @ spectrogram.to(demixing.dtype).movedim(1, 0)  # (F, J, N)
    norms = y.abs().square().sum(0).sqrt().mean(-1).sum()
    return float(norms - torch.linalg.slogdet(demixing).logabsdet.sum())


def test_iva_separates_what_ica_cannot(room):
    by_iva, by_ica = gain("iva", room, n_fft=2048, hop=512), gain("ica", room)
    assert by_iva.min() > 5 and by_iva.mean() > by_ica.mean() + 5


def test_images_sum_to_the_spectrogram_and_follow_from_the_demixing(room):
    x = STFT(1024, 512)(sum(room.values()))
    images, demixing = iva(x, 5)
    torch.testing.assert_close(images.sum(0), x, rtol=0, atol=1e-9)
    y = demixing @ x.movedim(1, 0)  # (F, J, N)
    mixing = torch.linalg.inv(demixing)
    torch.testing.assert_close(images[1, 0], (mixing[:, 0, 1, None] * y[:, 1]), rtol=0, atol=1e-9)


def test_the_objective_never_grows(room):
    x = STFT(1024, 512)(sum(room.values()))
    x = x / x.abs().square().mean().sqrt()
    values = [objective(x, iva(x, rounds)[1]) for rounds in (0, 1, 2, 4, 8, 16)]
    assert (
        all(later <= earlier + 1e-6 for earlier, later in zip(values, values[1:]))
        and values[-1] < values[0] - 10
    )


def test_one_round_is_that_of_the_equations_written_out(room):
    x = STFT(32, 16)(sum(room.values())[:, 8000:14000])
    x = x / x.abs().square().mean().sqrt()
    bins, frames = x.shape[1:]
    W = torch.stack(
        [torch.eye(2, dtype=x.dtype) / x[:, f].abs().square().mean().sqrt() for f in range(bins)]
    )
    for j in range(2):
        r = torch.stack(
            [
                sum((W[f, j] @ x[:, f, n]).abs() ** 2 for f in range(bins)).sqrt()
                for n in range(frames)
            ]
        )
        for f in range(bins):
            V = (
                sum(torch.outer(x[:, f, n], x[:, f, n].conj()) / r[n] for n in range(frames))
                / frames
            )
            w = torch.linalg.inv(W[f] @ V)[:, j]
            W[f, j] = (w / (w.conj() @ V @ w).real.sqrt()).conj()
    found = iva(x, 1)[1]
    torch.testing.assert_close(
        found.abs().sort(1).values, W.abs().sort(1).values, rtol=1e-4, atol=0
    )


def test_three_sources_in_three_channels(independent):
    g = torch.Generator().manual_seed(3)
    envelope = torch.rand(3, 1, 400, dtype=torch.float64, generator=g) ** 3
    sources = envelope * torch.randn(3, 40, 400, dtype=torch.complex128, generator=g)  # (J, F, N)
    A = torch.randn(40, 3, 3, dtype=torch.complex128, generator=g)
    truth = torch.einsum("fcj,jfn->jcfn", A, sources)
    images, _ = iva(truth.sum(0), 60)
    error = [
        min(float((t - image).abs().square().sum() / t.abs().square().sum()) for image in images)
        for t in truth
    ]
    assert max(error) < 10**-1.5  # 15 dB


def test_the_level_of_the_mixture_plays_no_part(room):
    mixture = sum(room.values())[:, :60000]
    x = STFT(1024, 512)(mixture)
    images, demixing = iva(x, 10)
    louder, smaller = iva(4 * x, 10)
    torch.testing.assert_close(louder, 4 * images, rtol=0, atol=1e-8)
    torch.testing.assert_close(4 * smaller, demixing)


def test_bins_and_frames_of_silence_stay_silent(room):
    x = STFT(1024, 512)(sum(room.values())[:, :60000])
    x[:, 300:] = 0
    x[:, :, 50:60] = 0
    images, _ = iva(x, 10)
    assert torch.isfinite(torch.view_as_real(images)).all()
    assert not images[:, :, 300:].any() and not images[:, :, :, 50:60].any()


def test_what_iva_cannot_take():
    x = torch.randn(2, 33, 50, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    for wrong, message in (
        (x[:1], "expected complex"),
        (x.real, "expected complex"),
        (x[:, :, :2], "2 frames of 2 channels are too few"),
        (0 * x, "silent"),
        (x * float("nan"), "not finite"),
    ):
        with pytest.raises(SepkitError, match=message):
            iva(wrong)
    with pytest.raises(SepkitError, match="frames of 2 channels are too few"):
        get("iva").separate(torch.randn(2, 500, generator=torch.Generator().manual_seed(0)))
