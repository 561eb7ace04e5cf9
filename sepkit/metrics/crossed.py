"""Effects over songs and seeds: how sure one may be of a difference between two recipes.

A network that is trained again with another seed scores differently, and every seed meets the
same songs: a difference d_ij of song i and seed j is mu + a_i + b_j + e_ij, with random effects of
songs, of seeds and of what is left ("crossed", Searle, Casella and McCulloch, "Variance
Components", 1992, chapter 4). An interval over songs alone says something of the networks at hand;
one over both says something of the recipes. Chapters 08 and 12.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from ..errors import SepkitError
from .statistics import FEWEST

#: Fewer seeds give no verdict. With three, whose effect is as large as that of the songs, 7 % of
#: the intervals that should hold zero do not: two degrees of freedom tell too little of a spread.
FEWEST_SEEDS = 5
#: The effect of the seeds counts where a test for it has at most this p: a preliminary test at
#: 25 % (Bancroft 1964), for else the seeds' variance is noise of two to seven degrees of freedom.
PRELIMINARY = 0.25


class Crossed(NamedTuple):
    """A mean difference over songs and seeds.

    `effect` is the mean of all differences in dB, (`low`, `high`) its interval, `p` two-sided
    against the value asked for, `df` the degrees of freedom, `wins` the songs of `n` whose mean
    over `seeds` seeds is above 0, `by_seed` the mean over songs of each seed.
    """

    effect: float
    low: float
    high: float
    p: float
    n: int
    wins: int
    seeds: int
    df: float
    by_seed: tuple[float, ...]


def crossed(differences, against: float = 0.0, level: float = 0.95) -> Crossed:
    """Test and interval of a mean difference, over songs and seeds at once.

    Variances by the method of moments from the mean squares of the two-way analysis of variance,
    MS_songs, MS_seeds and MS_rest; the mean's is (MS_songs + MS_seeds - MS_rest) / (songs x
    seeds), its degrees of freedom are Satterthwaite's (1946). Where the seeds do not differ by
    more than chance would (`PRELIMINARY`), it is MS_songs / (songs x seeds): the t test over the
    songs' means. Where they do, MS_songs is taken to be MS_rest at least.

    Parameters
    ----------
    differences : (songs, seeds)
        a - b, in dB. A song that is NaN for some seed is left out.
    against : float
        The value that `p` tests, in dB.
    level : float
        Of the interval, between 0 and 1.

    Returns
    -------
    Crossed

    Raises
    ------
    SepkitError
        For fewer than 2 complete songs or 2 seeds, or an infinite difference.

    Notes
    -----
    False positives at a nominal 5 %, in per cent, of 20000 simulated experiments each, without any
    difference. Songs and rest have standard deviation 1, as measured on the band, the seeds 0, 0.3
    or 1; the songs are normal, or have heavy tails (Student's t with 3 degrees of freedom,
    scaled). ``pytest -m slow tests/metrics/test_crossed.py`` repeats it.

    ======  =====  =====  ===  ===  ===  ===
    songs   sd     seeds  number of songs
    ------  -----  -----  ------------------
    .       seeds  .        6   12   24   50
    ======  =====  =====  ===  ===  ===  ===
    normal  0      3      4.1  3.9  4.3  3.9
    normal  0      5      4.2  4.6  4.5  4.5
    normal  0      8      4.7  4.9  4.8  4.9
    normal  0.3    3      3.8  4.4  5.0  6.1
    normal  0.3    5      4.3  4.6  4.7  5.3
    normal  0.3    8      4.7  4.9  5.0  4.7
    normal  1      3      4.8  6.3  7.2  7.4
    normal  1      5      4.1  4.9  5.6  5.6
    normal  1      8      4.5  4.8  5.2  5.4
    heavy   0      3      3.5  3.5  3.6  4.0
    heavy   0      5      3.5  3.8  4.2  4.1
    heavy   0      8      3.9  3.9  4.1  4.1
    heavy   0.3    3      3.9  4.4  5.7  6.4
    heavy   0.3    5      3.5  4.1  4.7  4.8
    heavy   0.3    8      3.9  4.1  4.5  4.8
    heavy   1      3      5.3  6.5  7.1  7.5
    heavy   1      5      3.7  5.1  5.7  5.9
    heavy   1      8      3.9  4.5  5.0  5.1
    ======  =====  =====  ===  ===  ===  ===

    With 5 and 8 seeds that is 4.1 to 5.6 % for normal songs. Heavy tails and few songs make the
    test stricter (3.5 %), as they do every t test. Three seeds of a large effect make it too
    lenient (7.5 %): hence `FEWEST_SEEDS`. Drawing songs and seeds again, a bootstrap of both, is
    more lenient still where seeds differ as much as songs: about 10 % with 5 seeds and 24 songs.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 2:
        raise SepkitError(f"crossed: expected differences (songs, seeds), got {d.shape}")
    total, seeds = d.shape
    d = d[~np.isnan(d).any(1)]
    if np.isinf(d).any():
        raise SepkitError(
            "crossed: a difference is infinite (a perfect or silent estimate); leave that song "
            "out, or use usdr, which is bounded"
        )
    if len(d) < 2 or seeds < 2:
        raise SepkitError(
            f"crossed: {len(d)} of {total} songs have a value for each of {seeds} seeds, at least "
            "2 of both are needed; score more songs, or train with more seeds"
        )
    effect, error, df = (float(value) for value in estimate(d))
    reach = stats.t.ppf((1 + level) / 2, df) * error
    p = _two_sided(effect - against, error, df)
    wins = int((d.mean(1) > 0).sum())
    by_seed = tuple(d.mean(0).tolist())
    return Crossed(effect, effect - reach, effect + reach, p, len(d), wins, seeds, df, by_seed)


def estimate(d: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, its standard error and the error's degrees of freedom, as `crossed` takes them.

    Parameters
    ----------
    d : (..., songs, seeds)
        Complete; many experiments at once, for simulations.

    Returns
    -------
    effect, error, df : arrays (...,)
    """
    songs, seeds = d.shape[-2:]
    mean = d.mean((-2, -1))  # (...,)
    by_song, by_seed = d.mean(-1), d.mean(-2)  # (..., songs), (..., seeds)
    rest = d - by_song[..., None] - by_seed[..., None, :] + mean[..., None, None]
    of_songs, of_seeds, of_rest = songs - 1, seeds - 1, (songs - 1) * (seeds - 1)
    ms_songs = seeds * by_song.var(-1, ddof=1)
    ms_seeds = songs * by_seed.var(-1, ddof=1)
    ms_rest = (rest**2).sum((-2, -1)) / of_rest
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing differs at all
        counts = stats.f.sf(ms_seeds / ms_rest, of_seeds, of_rest) <= PRELIMINARY
        songs_or_rest = np.maximum(ms_songs, ms_rest)
        both = songs_or_rest + ms_seeds - ms_rest
        df = both**2 / (songs_or_rest**2 / of_songs + ms_seeds**2 / of_seeds + ms_rest**2 / of_rest)
    variance = np.where(counts, both, ms_songs) / (songs * seeds)
    return mean, np.sqrt(variance), np.where(counts, df, of_songs)


def verdict(found: Crossed, alpha: float = 0.05) -> str:
    """Whether a is better than b: "holds", "fails" or "undecided", with a reason if seeds lack.

    Parameters
    ----------
    found : Crossed
        With `against` 0.
    alpha : float
        The chance of a false verdict.
    """
    if found.seeds < FEWEST_SEEDS:
        return f"undecided: {found.seeds} of {FEWEST_SEEDS} seeds"
    if found.n < FEWEST or found.p > alpha:
        return "undecided"
    return "holds" if found.effect > 0 else "fails"


def _two_sided(difference, error, df):
    """P of a t test; 1 where there is neither difference nor error."""
    if error == 0:
        return float(difference == 0)
    return float(2 * stats.t.sf(abs(difference) / error, df))
