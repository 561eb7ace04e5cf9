"""PCA and ICA against closed forms, scikit-learn and what theory promises."""

import math
import warnings

import numpy as np
import pytest
import torch

from sepkit.errors import Notice, SepkitError
from sepkit.metrics.sdr import si_sdr
from sepkit.separation import get
from sepkit.separation.blind import assign, fast_ica, non_gaussianity, rotate, whiten

IDENTITY = torch.eye(2, dtype=torch.float64)


def mixing(count, seed, condition=10.0):
    """A mixing matrix of a given condition number."""
    g = torch.Generator().manual_seed(seed)
    u, v = (
        torch.linalg.qr(torch.randn(count, count, dtype=torch.float64, generator=g))[0]
        for _ in range(2)
    )
    return u @ torch.diag(torch.logspace(0, -math.log10(condition), count, dtype=torch.float64)) @ v


def recovered(truth, x, **options):
    """SI-SDR in dB of every source, after ICA of x."""
    components, _ = fast_ica(x, **options)
    names = [str(k) for k in range(len(truth))]
    estimates = assign(components[:, None], dict(zip(names, truth[:, None])))
    return torch.stack([si_sdr(truth[k : k + 1], estimates[name]) for k, name in enumerate(names)])


# --- whitening


@pytest.mark.parametrize("channels", [2, 3, 5])
def test_whitening_gives_the_identity_as_covariance(independent, channels):
    x = mixing(channels, 1, 300.0) @ independent(channels) + 3
    z, V, mean = whiten(x)
    torch.testing.assert_close(
        z @ z.T / z.shape[1], torch.eye(channels, dtype=torch.float64), rtol=0, atol=1e-10
    )
    torch.testing.assert_close(V @ (x - mean), z, rtol=0, atol=1e-10)
    assert z.mean(1).abs().max() < 1e-10


def test_whitening_is_that_of_scikit_learn(independent):
    from sklearn.decomposition import PCA

    x = mixing(3, 2) @ independent(3)
    theirs = PCA(whiten=True, svd_solver="full").fit_transform(x.T.numpy()).T
    z, _, _ = whiten(x)
    signs = np.sign((z.numpy() * theirs).sum(1, keepdims=True))
    n = x.shape[1]
    np.testing.assert_allclose(z.numpy(), signs * theirs * math.sqrt(n / (n - 1)), atol=1e-9)


def test_whitening_in_single_precision_is_computed_in_double(independent):
    x = (mixing(2, 3, 1000.0) @ independent(2)).float()
    z, _, _ = whiten(x)
    assert z.dtype == torch.float32
    torch.testing.assert_close(z.double() @ z.double().T / z.shape[1], IDENTITY, rtol=0, atol=1e-5)


def test_rotation_keeps_channels_white_and_a_quarter_turn_exchanges_them(independent):
    z, _, _ = whiten(independent(2))
    y = rotate(z, 0.7)
    torch.testing.assert_close(y @ y.T / y.shape[1], IDENTITY, rtol=0, atol=1e-10)
    torch.testing.assert_close(rotate(z, math.pi / 2), torch.stack([z[1], -z[0]]))
    torch.testing.assert_close(rotate(rotate(z, 0.4), -0.4), z)


def test_the_angle_of_least_gaussian_channels_is_that_of_fast_ica(independent):
    x = mixing(2, 4) @ independent(2)
    z, _, _ = whiten(x)
    angles = torch.linspace(0, math.pi / 2, 181)[:-1].tolist()
    best = max(angles, key=lambda angle: float(non_gaussianity(rotate(z, angle)).sum()))
    scanned, found = rotate(z, best), fast_ica(x)[0]
    similarity = (scanned @ found.T / z.shape[1]).abs()
    assert similarity.max(1).values.min() > 0.9995  # within half a degree of the scan


# --- non-Gaussianity


def test_measures_agree_with_integrals():
    from scipy.integrate import quad

    def laplace(f):
        return quad(
            lambda y: f(y) * math.exp(-math.sqrt(2) * abs(y)) / math.sqrt(2),
            -40,
            40,
            limit=200,
            points=[0],
        )[0]

    def normal(f):
        return quad(lambda y: f(y) * math.exp(-(y**2) / 2) / math.sqrt(2 * math.pi), -12, 12)[0]

    def log_cosh(y):
        return math.log(math.cosh(y))

    # quantiles of the distribution stand for samples of it
    p = (torch.arange(400000, dtype=torch.float64) + 0.5) / 400000 - 0.5
    y = -p.sign() * torch.log1p(-2 * p.abs()) / math.sqrt(2)
    assert float(non_gaussianity(y)) == pytest.approx(
        (laplace(log_cosh) - normal(log_cosh)) ** 2, rel=1e-3
    )
    assert float(non_gaussianity(y, "kurtosis")) == pytest.approx(3, rel=1e-2)
    gaussian = torch.special.ndtri(p + 0.5)
    assert float(non_gaussianity(gaussian)) < 1e-9
    assert float(non_gaussianity(gaussian, "kurtosis")) < 1e-2


def test_non_gaussianity_knows_no_scale_and_no_offset(independent):
    y = independent(2)
    for measure in ("negentropy", "kurtosis"):
        torch.testing.assert_close(
            non_gaussianity(1e3 * y - 50, measure), non_gaussianity(y, measure)
        )


def test_sums_are_more_gaussian_than_their_terms(independent):
    s = independent(8)
    means = [float(non_gaussianity(s[:n].sum(0))) for n in (1, 2, 4, 8)]
    assert means == sorted(means, reverse=True) and means[0] > 4 * means[3]


# --- ICA


@pytest.mark.parametrize("count", [2, 3, 5])
def test_ica_recovers_independent_sources(independent, count):
    sources = independent(count, 60000)
    assert recovered(sources, mixing(count, 5) @ sources).min() > 30


def test_ica_recovers_speakers(speakers):
    assert recovered(speakers, mixing(2, 6) @ speakers).min() > 30


def test_ica_does_not_depend_on_the_mixing_matrix(independent):
    sources = independent(3)
    values = [
        recovered(sources, mixing(3, seed, condition) @ sources)
        for seed, condition in ((7, 2.0), (8, 30.0), (9, 300.0))
    ]
    for value in values[1:]:
        torch.testing.assert_close(value, values[0], rtol=0, atol=0.05)  # dB


def test_ica_does_not_depend_on_the_order_of_the_channels(independent):
    x = mixing(3, 10) @ independent(3)
    y, _ = fast_ica(x)
    turned, _ = fast_ica(x[[2, 0, 1]])
    similarity = (y @ turned.T / x.shape[1]).abs()
    torch.testing.assert_close(
        similarity.max(1).values, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-3
    )
    assert sorted(similarity.argmax(1).tolist()) == [0, 1, 2]


def test_ica_is_scikit_learns(independent):
    from sklearn.decomposition import FastICA

    x = mixing(3, 11) @ independent(3)
    theirs = torch.from_numpy(
        FastICA(whiten="unit-variance", random_state=3, tol=1e-8, max_iter=500)
        .fit_transform(x.T.numpy())
        .T
    )
    ours, unmixing = fast_ica(x, tolerance=1e-8, iterations=500)
    similarity = (ours @ theirs.T / x.shape[1]).abs()
    torch.testing.assert_close(
        similarity.max(1).values, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(unmixing @ (x - x.mean(1, keepdim=True)), ours)
    torch.testing.assert_close(
        ours @ ours.T / x.shape[1], torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-6
    )


def test_order_and_sign_follow_the_channels(independent):
    sources = independent(2)
    # The second source is left, and upside down.
    A = torch.tensor([[0.2, -1.0], [1.0, 0.3]], dtype=torch.float64)
    y, _ = fast_ica(A @ sources)
    assert float((y[0] * -sources[1]).mean()) > 0.99 and float((y[1] * sources[0]).mean()) > 0.99


def test_two_sources_in_four_channels(independent):
    sources = independent(2)
    A = torch.tensor([[1.0, 0.2], [0.4, 1.0], [0.7, 0.7], [0.1, 0.9]], dtype=torch.float64)
    noise = 1e-4 * torch.randn(
        4, sources.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    assert recovered(sources, A @ sources + noise, sources=2).min() > 30


def test_gaussian_sources_cannot_be_told_apart():
    g = torch.Generator().manual_seed(2)
    sources = torch.randn(2, 40000, dtype=torch.float64, generator=g)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        assert recovered(sources, mixing(2, 12) @ sources).min() < 20


def test_unsettled_ica_is_told(independent):
    with pytest.warns(Notice, match="not settled after 1 round"):
        fast_ica(mixing(3, 13) @ independent(3, 2000), iterations=1)


# --- the separators


def test_pca_finds_the_direction_of_most_power_and_its_components_sum_to_the_mixture():
    g = torch.Generator().manual_seed(0)
    loud, soft = 0.3 * torch.randn(1, 9000, generator=g), 0.03 * torch.randn(1, 9000, generator=g)
    a, b = torch.tensor([[0.8], [0.6]]), torch.tensor([[-0.6], [0.8]])
    estimates = get("pca").separate(a * loud + b * soft)
    assert list(estimates) == ["component 1", "component 2"]
    assert (
        si_sdr(a * loud, estimates["component 1"]) > 35
        and si_sdr(b * soft, estimates["component 2"]) > 15
    )
    torch.testing.assert_close(sum(estimates.values()), a * loud + b * soft, rtol=0, atol=1e-6)


def test_ica_gives_images_at_their_true_scale_without_references(independent):
    sources = 0.1 * independent(2).float()
    left, right = (
        torch.tensor([[0.9], [0.3]]) * sources[:1],
        torch.tensor([[0.2], [0.7]]) * sources[1:],
    )
    mixture = left + right + 0.01  # an offset goes into the images, too
    estimates = get("ica").separate(mixture)
    for truth, name in ((left, "component 1"), (right, "component 2")):
        error = (
            estimates[name]
            - estimates[name].mean(1, keepdim=True)
            - (truth - truth.mean(1, keepdim=True))
        )
        assert 10 * torch.log10(truth.square().sum() / error.square().sum()) > 30
    torch.testing.assert_close(sum(estimates.values()), mixture, rtol=0, atol=1e-5)


def test_uncorrelated_is_not_independent(independent):
    sources = 0.1 * independent(2).float()
    stems = {
        "one": torch.tensor([[0.9], [0.5]]) * sources[:1],
        "two": torch.tensor([[0.3], [0.7]]) * sources[1:],
    }
    mixture = sum(stems.values())
    worst = {}
    for name in ("pca", "ica"):
        estimates = get(name).separate(mixture, stems)
        worst[name] = min(float(si_sdr(stems[k], estimates[k])) for k in stems)
    assert worst["ica"] > 30 and worst["pca"] < 15


# --- what cannot be done


def test_fewer_channels_than_sources_is_said_plainly(independent):
    with pytest.raises(
        SepkitError,
        match=r"3 sources asked of 2 channel\(s\).*at least as many channels as sources",
    ):
        fast_ica(independent(2), sources=3)
    for name in ("pca", "ica", "iva"):
        with pytest.raises(
            SepkitError,
            match=f"{name}: 1 channel cannot be unmixed into 2 or more sources; use a stereo",
        ):
            get(name).separate(independent(1))


NOISE = 0.1 * torch.randn(1, 20000, generator=torch.Generator().manual_seed(0))
SINGULAR = {
    "copies": (torch.cat([NOISE, NOISE]), "singular, because they are copies of each other"),
    "scaled copies": (
        torch.cat([NOISE, -0.3 * NOISE]),
        "singular, because they are copies of each other",
    ),
    "one silent": (torch.cat([NOISE, 0 * NOISE]), "channel 2 is silent"),
    "one constant": (torch.cat([0 * NOISE + 0.25, NOISE]), "channel 1 is constant"),
    "constant": (torch.full((2, 20000), 0.25), "every channel is constant"),
    "one sample": (torch.tensor([[0.1], [0.2]]), "every channel is constant"),
    "two samples": (
        torch.tensor([[0.1, 0.2], [0.2, -0.7]]),
        "singular, because there are too few samples",
    ),
}


@pytest.mark.parametrize("kind", SINGULAR)
def test_singular_channels_are_refused(kind):
    x, message = SINGULAR[kind]
    for call in (whiten, fast_ica, *(get(name).separate for name in ("pca", "ica", "iva"))):
        with pytest.raises(SepkitError, match=message) as error:
            call(x)
        assert "\n" not in str(error.value) and ";" in str(error.value)


def test_channels_that_differ_by_very_much_in_level_are_not_singular(independent):
    x = torch.tensor([[1.0], [1e-9]], dtype=torch.float64) * (mixing(2, 14) @ independent(2))
    z, _, _ = whiten(x)
    torch.testing.assert_close(z @ z.T / z.shape[1], IDENTITY, rtol=0, atol=1e-6)


def test_all_of_silence_is_silent():
    silence = torch.zeros(2, 5000)
    for name in ("pca", "ica", "iva"):
        estimates = get(name).separate(silence)
        assert list(estimates) == ["component 1", "component 2"] and not any(
            x.any() for x in estimates.values()
        )
    with pytest.raises(SepkitError, match="every channel is silent"):
        whiten(silence)


def test_other_wrong_arguments(independent):
    with pytest.raises(SepkitError, match="NaN or infinite"):
        whiten(torch.tensor([[0.0, float("nan")], [1.0, 2.0]]))
    with pytest.raises(SepkitError, match=r"expected a float tensor \(channels, samples\)"):
        whiten(independent(2)[0])
    with pytest.raises(SepkitError, match="expected two channels"):
        rotate(independent(3), 0.1)
    with pytest.raises(SepkitError, match="choose from negentropy, kurtosis"):
        non_gaussianity(independent(1), "entropy")
