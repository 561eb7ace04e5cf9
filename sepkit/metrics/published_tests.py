"""Tests computed from printed means and standard deviations, as their authors ran them.

Svystun, "The Impact of Remixing on Vocal Extraction in Low Data Regimes" (2024),
sections 4.5.3 and 4.5.4, treats n = 2772 overlapping chunks of 50 songs as
independent, and the scores of two networks on the same chunks as two unrelated
samples. The functions here repeat that arithmetic, so that its tables can be
checked; `sepkit.metrics.statistics.compare` is what one should do instead.
Where only means and deviations are printed, the paired test cannot be recovered.
Chapter 08.
"""

import itertools
import math
from typing import NamedTuple

from scipy import stats

from ..errors import SepkitError

#: The thesis's mark, "five times as much signal energy as distortion" (equation 4.5): 6.9897 dB.
FIVE_TIMES = 10 * math.log10(5)


class PublishedTest(NamedTuple):
    """Test statistic, its standard error (dB), and the one-sided p value."""

    statistic: float
    se: float
    p: float


def one_sample_z(mean: float, sd: float, n: int, threshold: float) -> PublishedTest:
    """Does the mean exceed a threshold? Section 4.5.3: ``z = (mean - threshold) / (sd / sqrt(n))``.

    Parameters
    ----------
    mean, sd : float
        Of the scores, in dB.
    n : int
        How many scores; the thesis counts chunks (2772).
    threshold : float
        In dB; the thesis uses `FIVE_TIMES`.

    Returns
    -------
    PublishedTest
        p is one-sided, from the normal distribution: the chance of a z at least this
        large if the true mean were the threshold and the scores independent.

    Raises
    ------
    SepkitError
        If a number is not finite, sd is not positive, or n is below 2.
    """
    _check(mean=mean, threshold=threshold, sd=sd, n=n)
    se = sd / math.sqrt(n)
    statistic = (mean - threshold) / se
    return PublishedTest(statistic, se, float(stats.norm.sf(statistic)))


def two_sample_t(
    mean_a: float, sd_a: float, n_a: int, mean_b: float, sd_b: float, n_b: int
) -> PublishedTest:
    """Is mean a above mean b? Section 4.5.4: ``t = (a - b) / sqrt(sd_a^2 / n_a + sd_b^2 / n_b)``.

    Parameters
    ----------
    mean_a, sd_a, mean_b, sd_b : float
        In dB; a is the trained network, b the one before training.
    n_a, n_b : int
        How many scores each.

    Returns
    -------
    PublishedTest
        p is one-sided, from the normal distribution, as in the thesis. The samples
        count as unrelated although both networks separated the same songs.

    Raises
    ------
    SepkitError
        As `one_sample_z`.
    """
    _check(mean_a=mean_a, mean_b=mean_b, sd_a=sd_a, sd_b=sd_b, n_a=n_a, n_b=n_b)
    se = math.hypot(sd_a / math.sqrt(n_a), sd_b / math.sqrt(n_b))
    statistic = (mean_a - mean_b) / se
    return PublishedTest(statistic, se, float(stats.norm.sf(statistic)))


def rounding_range(function, *printed):
    """What a result can be, given that its inputs were printed rounded.

    Evaluates `function` at every corner of the box of inputs that print the same,
    which holds the extremes of any function monotone in each input.

    Parameters
    ----------
    function : callable
        Takes as many floats as there are `printed`; returns a float or a tuple of floats.
    *printed : str or number
        A string counts as rounded to the decimals it shows, ``"2.20"`` within 0.005;
        a number is taken as exact.

    Returns
    -------
    (low, high), or a list of them for a function that returns a tuple

    Raises
    ------
    SepkitError
        For a string that is no number.
    """
    corners = [function(*corner) for corner in itertools.product(*map(_corners, printed))]
    if not isinstance(corners[0], tuple):
        return min(corners), max(corners)
    return [(min(values), max(values)) for values in zip(*corners)]


def as_printed(text: str) -> tuple[float, float]:
    """The interval (low, high) of numbers that round to `text`, such as ``"6.67"``.

    Raises
    ------
    SepkitError
        If it is no number.
    """
    try:
        value = float(text)
    except ValueError:
        raise SepkitError(f"{text!r} is not a number as printed, such as '6.67'") from None
    half = 0.5 * 10.0 ** -len(text.partition(".")[2])
    return value - half, value + half


def _corners(printed):
    return as_printed(printed) if isinstance(printed, str) else (printed,)


def _check(**numbers):
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise SepkitError(f"{name} is {value}; a finite number is expected")
        if name.startswith("sd") and value <= 0:
            raise SepkitError(f"{name} is {value}; a standard deviation must be above 0")
        if name.startswith("n") and value < 2:
            raise SepkitError(f"{name} is {value}; at least 2 scores are needed")
