"""BSSEval against museval, against a plain least-squares fit, and against closed forms.

Where museval cannot be followed, the kit's choice:

- Channels that cancel (L = -R) are silence to museval, which looks at their sum. The kit
  keeps that rule in frames, so that its medians are those of published tables, and
  names the reason in a warning where it empties a whole track; museval stops there with
  "all reference sources should be non-silent".
- A stem that is silent throughout stops museval. Here every value is NaN, with a warning.
- Linearly dependent references leave museval a singular system: with numpy 2.4 it ends in
  an AttributeError, before it in rounding errors of about 1e-5 dB. Here the dependent
  channels are left out of the fit, which changes nothing in what can be fitted.
- A perfect estimate has an SDR of inf, as in museval's arrays; museval's JSON says NaN.
  Its SIR and SAR are rounding errors of 100 dB and more in both.
"""

import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import torch

from sepkit.errors import SepkitError
from sepkit.metrics.bsseval import TAPS, bss_eval
from sepkit.metrics.sdr import framewise_sdr

RATE = 1000


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def music(sources, channels, samples, seed=0):
    """References with spectra like music, darker than noise; estimates with every kind of error."""
    white = noise(sources, channels, samples + 300, seed=seed).numpy()
    references = torch.from_numpy(
        np.stack([scipy.signal.lfilter([1], [1, -0.5 - 0.1 * j], x) for j, x in enumerate(white)])
    )[..., 300:]
    filtered = references + 0.2 * references.roll(7, -1) - 0.1 * references.flip(1)
    return references, 0.9 * filtered + 0.2 * references.roll(1, 0) + 0.1 * noise(
        *references.shape, seed=seed + 1
    )


def assert_as_museval(
    museval, references, estimates, rate, tolerance=1e-6, beyond=100.0, **framing
):
    """Equal in dB; where both are `beyond`, what is left is rounding."""
    ours = bss_eval(references, estimates, rate, **framing)
    size, step = (int(framing.get(which, 1.0) * rate) for which in ("window", "hop"))
    theirs = museval(references, estimates, size, step, tolerance=tolerance)
    for name, mine, its in zip(("SDR", "ISR", "SIR", "SAR"), ours, theirs):
        assert mine.shape == its.shape, name
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(its), err_msg=name)
        compared = ~np.isnan(mine) & ~((mine > beyond) & (its > beyond))
        atol = 1e-9 if name == "SDR" else tolerance
        np.testing.assert_allclose(mine[compared], its[compared], rtol=0, atol=atol, err_msg=name)
    return ours


@pytest.mark.parametrize(
    "sources, channels, seconds, rate",
    [
        (2, 1, 0.9, 8000),
        (2, 2, 2.9, 8000),
        (3, 1, 2.9, 8000),
        (3, 2, 2.9, 4000),
        (1, 2, 2.9, 8000),
        (2, 1, 30, 8000),
        (2, 1, 120, 2000),
    ],
)
def test_equals_museval(museval, sources, channels, seconds, rate):
    assert_as_museval(museval, *music(sources, channels, int(seconds * rate)), rate)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sources, channels, seconds, rate",
    [
        (4, 2, 0.9, 44100),
        (4, 1, 2.9, 44100),
        (4, 2, 10, 44100),
        pytest.param(4, 2, 30, 44100, marks=pytest.mark.long),
        pytest.param(2, 2, 120, 44100, marks=pytest.mark.long),
        pytest.param(4, 2, 120, 8000, marks=pytest.mark.long),
    ],
)
def test_equals_museval_at_full_size(live_museval, sources, channels, seconds, rate):
    assert_as_museval(live_museval, *music(sources, channels, int(seconds * rate)), rate)


@pytest.mark.parametrize("window, hop", [(2.0, 1.5), (0.5, 0.25), (10.0, 1.0)])
def test_equals_museval_for_other_frames(museval, window, hop):
    assert_as_museval(museval, *music(2, 1, 4300), RATE, window=window, hop=hop)


def test_equals_museval_with_silent_frames_single_precision_and_other_lengths(museval):
    references, estimates = music(2, 2, 5500)
    references[1, :, 1000:2000] = 0
    estimates[0, :, 3000:4100] = 0
    references, estimates = references.float().numpy(), estimates.float().numpy()
    longer = np.concatenate([estimates, estimates], -1)
    for changed in (estimates, estimates[..., :4700], longer):
        sdr = assert_as_museval(museval, references, changed, RATE)[0]
        assert np.isnan(sdr).tolist() == [[False, True, False, True, False]] * 2
    np.testing.assert_allclose(framewise_sdr(references, longer, RATE), sdr, atol=1e-9)


def test_equals_museval_where_references_depend_on_each_other(museval):
    """Mono stems in stereo, a stem a multiple of another, one their sum, a silent channel."""
    references, estimates = music(2, 2, 3500)
    mono = references[:, :1].expand(2, 2, -1)
    assert_as_museval(museval, mono, estimates, RATE, tolerance=1e-4)
    panned = torch.stack([0.8 * references[:, 0], 0.3 * references[:, 0]], 1)
    assert_as_museval(museval, panned, estimates, RATE, tolerance=1e-4)
    one_sided = references.clone()
    one_sided[0, 1] = 0
    assert_as_museval(museval, one_sided, estimates, RATE, tolerance=1e-4)
    summed = torch.cat([references, references.sum(0, keepdim=True)])[:, :1]
    assert_as_museval(
        museval, summed, torch.cat([estimates, estimates[:1]])[:, :1], RATE, tolerance=1e-4
    )


def test_scaled_delayed_and_inverted_estimates(museval):
    references, _ = music(2, 1, 3500)
    for scale, sdr in ((3.0, -6.0206), (0.5, 6.0206), (-1.0, -6.0206)):
        found = assert_as_museval(museval, references, scale * references, RATE)
        np.testing.assert_allclose(found[0], sdr, atol=1e-4)
        np.testing.assert_allclose(found[1], sdr, atol=1e-4)  # a gain is an error of the image only
        assert (found[2] > 100).all() and (found[3] > 100).all()
    for delay in (3, TAPS - 1, TAPS, 900):  # beyond the filters a delay is an artefact
        found = assert_as_museval(
            museval, references, torch.nn.functional.pad(references, (delay, 0)), RATE, window=3.5
        )
        assert (found[3] > 5).all() == (delay < TAPS)


def test_equals_a_plain_least_squares_fit():
    """No museval, no FFT: columns of delayed references, and numpy's lstsq."""
    references, estimates = (x[:, 0].numpy() for x in music(2, 1, 1800))
    delayed = [np.stack([np.pad(s, (d, TAPS - 1 - d)) for d in range(TAPS)], 1) for s in references]
    padded = np.pad(estimates, ((0, 0), (0, TAPS - 1)))
    sdr, isr, sir, sar = bss_eval(references[:, None], estimates[:, None], RATE, window=1.8)

    def fit(columns, signal):
        return columns @ scipy.linalg.lstsq(columns, signal, lapack_driver="gelsy")[0]

    def ratio(signal, error):
        return 10 * np.log10((signal**2).sum() / (error**2).sum())

    for j in range(2):
        truth = np.pad(references[j], (0, TAPS - 1))
        own = fit(delayed[j], padded[j])
        every = fit(np.hstack(delayed), padded[j])
        expected = (
            ratio(truth, padded[j] - truth),
            ratio(truth, own - truth),
            ratio(own, every - own),
            ratio(every, padded[j] - every),
        )
        np.testing.assert_allclose([x[j, 0] for x in (sdr, isr, sir, sar)], expected, atol=1e-9)


def qr(references, estimates, cond=None):
    """SIR and SAR (2, sources) of one frame, by pivoted QR on the delayed references themselves."""
    delayed = [np.stack([np.pad(s, (d, TAPS - 1 - d)) for d in range(TAPS)], 1) for s in references]
    padded = np.pad(estimates, ((0, 0), (0, TAPS - 1)))

    def fits(columns, signals):
        return (
            columns @ scipy.linalg.lstsq(columns, signals.T, cond=cond, lapack_driver="gelsy")[0]
        ).T

    every = fits(np.hstack(delayed), padded)
    own = np.concatenate([fits(columns, x[None]) for columns, x in zip(delayed, padded)])
    ratio = lambda a, b: 10 * np.log10((a**2).sum(1) / (b**2).sum(1))  # noqa: E731
    return np.stack([ratio(own, every - own), ratio(every, padded - every)])


def badly_told_apart(kind, samples=2000):
    """References whose delayed copies are (nearly) dependent; estimates with leakage and noise."""
    first, second, *errors = (
        np.random.default_rng(k).standard_normal(samples) for k in (0, 1, 8, 9)
    )
    single = lambda x: x.astype(np.float32).astype(np.float64)  # noqa: E731
    if kind.startswith("band"):
        spectra = np.fft.rfft(np.stack([first, second]))
        spectra[:, int(float(kind.split()[1]) * spectra.shape[1]) :] = 0
        references = single(np.fft.irfft(spectra, samples))
    elif kind.startswith("delayed"):
        for x in (first, second):
            x[-600:] = 0  # so that the whole of it is in its copies
        late = 0.7 * np.roll(first, 40)
        second = {
            "delayed": late,
            "delayed float32": single(late),
            "delayed noisy": late + 1e-6 * second,
        }[kind]
        references = np.stack([first, second])
    else:
        references = np.stack([single(first), single(0.3 * single(first))])
    return references, references + 0.3 * references[::-1] + 0.1 * np.stack(errors)


def ours_at(references, estimates):
    _, _, sir, sar = bss_eval(
        references[:, None], estimates[:, None], RATE, window=references.shape[1] / RATE
    )
    return np.stack([sir[:, 0], sar[:, 0]])


@pytest.mark.parametrize(
    "kind, sir, sar",
    [("band 0.9", 0.05, 0.25), ("band 0.5", 0.2, 0.7), ("delayed noisy", 0.05, 0.01)],
)
def test_references_that_lack_a_band_are_scored_as_by_qr(kind, sir, sar):
    """To what the normal equations can tell.

    Of "delayed noisy" the delayed references have condition number 9.5e6, their Gram matrix
    9e13: times float64's 2.2e-16 that is 2 % of a coefficient. A fit in a basis of condition
    number 10 that spans the same space gives 24.2447 dB, and QR agrees to 1e-6 dB; Cholesky is
    0.0034 dB off with MKL_CBWR=COMPATIBLE and 0.011 dB with its AVX2 and AVX-512 code.
    """
    signals = badly_told_apart(kind)
    found, expected = ours_at(*signals), qr(*signals)
    np.testing.assert_allclose(found[0], expected[0], atol=sir)
    np.testing.assert_allclose(found[1], expected[1], atol=sar)


def test_copies_that_differ_by_rounding_alone_count_as_one_signal():
    exact = badly_told_apart("delayed")
    expected = qr(
        *exact, cond=1e-10
    )  # with the rank decided; by default QR keeps columns that are rounding
    np.testing.assert_allclose(expected[0], [36.873, 8.652], atol=1e-3)
    np.testing.assert_allclose(ours_at(*exact), expected, atol=1e-3)
    rounded = badly_told_apart("delayed float32")
    np.testing.assert_allclose(ours_at(*rounded), expected, atol=1e-2)
    assert abs(qr(*rounded)[0, 0] - 24.43) < 0.1  # fitted to the rounding
    assert (ours_at(*badly_told_apart("multiple"))[0] > 100).all()


@pytest.mark.slow
def test_museval_is_far_from_qr_where_references_lack_a_band(museval_package):
    references, estimates = badly_told_apart("band 0.5")
    arrays = (x[:, :, None] for x in (references, estimates))
    size = references.shape[1]
    theirs = museval_package.metrics.bss_eval(*arrays, window=size, hop=size)[2][:, 0]
    expected = qr(references, estimates)[0]
    assert (np.abs(ours_at(references, estimates)[0] - expected) < 0.2).all()
    assert (
        np.abs(theirs - expected) > 1
    ).all()  # by 31 and 45 dB here; how far is a matter of the BLAS


def test_each_kind_of_error_lowers_its_own_ratio():
    """A delayed copy costs only ISR, another source SIR, noise SAR; SDR pays for all."""
    references = noise(2, 1, 4 * RATE)
    delayed = references[0] + 0.3 * torch.roll(references[0], 5, -1)
    leaked = references[0] + 0.3 * references[1]
    level = 20 * np.log10(1 / 0.3)
    for first, second, lowered in (
        (delayed, references[1] + 0.3 * noise(1, 4 * RATE, seed=1), 1),
        (leaked, references[1], 2),
    ):
        ratios = bss_eval(references, torch.stack([first, second.roll(1, -1)]), RATE)
        medians = [float(np.median(r[0])) for r in ratios]
        assert medians[0] == pytest.approx(level, abs=0.5)
        assert medians[lowered] == pytest.approx(level, abs=0.7)
        assert all(medians[k] > level + 2 for k in (1, 2, 3) if k != lowered)


def test_order_and_scale_do_not_matter():
    references, estimates = music(3, 1, 2500)
    plain = bss_eval(references, estimates, RATE)
    for changed, order in (
        (bss_eval(references.flip(0), estimates.flip(0), RATE), -1),
        (bss_eval(1e-3 * references, 1e-3 * estimates, RATE), 1),
    ):
        for before, after in zip(plain, changed):
            np.testing.assert_allclose(after[::order], before, atol=1e-8)


def test_a_perfect_estimate_is_infinite_and_one_source_has_no_interference():
    references, estimates = music(2, 2, 2500)
    sdr, isr, sir, sar = bss_eval(references, references, RATE)
    assert np.isposinf(sdr).all() and all((x > 100).all() for x in (isr, sir, sar))
    assert np.isposinf(bss_eval(references[:1], estimates[:1], RATE)[2]).all()


def test_gradients_and_devices_stay_out_of_it():
    references, estimates = music(2, 1, 1500)
    followed = bss_eval(references, estimates.clone().requires_grad_(), RATE)
    for one, other in zip(followed, bss_eval(references.numpy(), estimates.numpy(), RATE)):
        assert isinstance(one, np.ndarray) and one.dtype == np.float64
        np.testing.assert_array_equal(one, other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_same_on_a_gpu():
    references, estimates = music(4, 2, 40000)
    for there, here in zip(
        bss_eval(references.cuda(), estimates.cuda(), 8000), bss_eval(references, estimates, 8000)
    ):
        np.testing.assert_allclose(there, here, atol=1e-6)


def test_a_source_silent_throughout_is_nan_with_a_warning():
    references = torch.stack([noise(2, 2500), torch.zeros(2, 2500)])
    with pytest.warns(UserWarning, match="reference 1 is silent throughout"):
        ratios = bss_eval(references, noise(2, 2, 2500), RATE)
    assert all(r.shape == (2, 2) and np.isnan(r).all() for r in ratios)
    references[1] = torch.stack([noise(2500), -noise(2500)])
    with pytest.warns(UserWarning, match="reference 1 has channels that cancel"):
        assert np.isnan(bss_eval(references, noise(2, 2, 2500), RATE)[0]).all()


def test_needs_neither_museval_nor_ffmpeg():
    code = (
        "import sys, torch; from sepkit.metrics import bss_eval;"
        "bss_eval(torch.randn(2, 1, 2000), torch.randn(2, 1, 2000), 1000);"
        "heavy = {'museval', 'musdb', 'stempeg', 'pandas', 'librosa'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PATH": ""}
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_bad_input_is_told():
    with pytest.raises(SepkitError, match=r"expected \(sources, channels, samples\)"):
        bss_eval(noise(2, 900), noise(2, 900), RATE)
    with pytest.raises(SepkitError, match="equal channels"):
        bss_eval(noise(2, 2, 900), noise(2, 1, 900), RATE)
    with pytest.raises(SepkitError, match="NaN or infinity"):
        bss_eval(noise(2, 1, 900), torch.full((2, 1, 900), torch.nan), RATE)
    with pytest.raises(SepkitError, match="at least one sample"):
        bss_eval(noise(2, 1, 900), noise(2, 1, 900), RATE, window=0.0001)
