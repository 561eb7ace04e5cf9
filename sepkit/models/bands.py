"""Frequency bands of the band-split RNN: where they lie, and which are equally wide.

A split is a sequence of pairs (upper limit, width), both in Hz: bands of that
width up to that limit. What lies above the last limit is one more band.
Schemes: Luo and Yu, "Music Source Separation with Band-split RNN",
arXiv 2209.15174. Chapter 06 compares them.
"""

from collections.abc import Sequence

from ..errors import SepkitError, unknown

#: name -> split; V1 to V7 are the paper's ablation for vocals, from coarse to fine
SPLITS = {
    "V1": ((21000, 1000),),
    "V2": ((16000, 1000), (20000, 2000)),
    "V3": ((8000, 1000), (16000, 2000), (20000, 4000)),
    "V4": ((1000, 100), (8000, 1000), (16000, 2000), (20000, 4000)),
    "V5": ((1000, 100), (16000, 1000), (20000, 2000)),
    "V6": ((1000, 100), (4000, 500), (8000, 1000), (16000, 2000), (20000, 4000)),
    "V7": ((1000, 100), (4000, 250), (8000, 500), (16000, 1000), (20000, 2000)),
    "bass": ((500, 50), (1000, 100), (4000, 500), (8000, 1000), (16000, 2000)),
    "drums": ((1000, 50), (2000, 100), (4000, 250), (8000, 500), (16000, 1000)),
}


def default_split(target: str) -> str:
    """The paper's split for a target: its own for bass and drums, V7 for all others."""
    return target if target in ("bass", "drums") else "V7"


def band_edges(
    split: str | Sequence[Sequence[float]] = "V7", n_fft: int = 2048, sample_rate: int = 44100
) -> list[int]:
    """The bins at which bands begin, and the number of bins at the end.

    Parameters
    ----------
    split : str or sequence of (upper limit, width)
        One of `SPLITS`, or limits and widths in Hz.
    n_fft, sample_rate : int

    Returns
    -------
    list of int
        Band k holds the bins [edges[k], edges[k + 1]): those whose frequency lies in
        [lower, upper). The last band ends with the bin of half the sample rate.

    Raises
    ------
    SepkitError
        For an unknown name, limits out of order, and bands narrower than a bin.
    """
    if isinstance(split, str):
        if split not in SPLITS:
            raise unknown("band split", split, SPLITS)
        split = SPLITS[split]
    try:
        pairs = [(float(upper), float(width)) for upper, width in split]
    except (TypeError, ValueError):
        raise SepkitError(
            f"band split {split!r}: a name or pairs (upper limit, width) in Hz were expected"
        ) from None
    limits, lower = [0.0], 0.0
    for upper, width in pairs:
        count = (upper - lower) / width if width > 0 else 0
        if count < 1 or count != int(count):
            raise SepkitError(
                f"band split: {lower:g} to {upper:g} Hz cannot be divided into bands of "
                f"{width:g} Hz"
            )
        if count > n_fft:
            raise SepkitError(
                f"band split: bands of {width:g} Hz are narrower than a bin; use a larger n_fft "
                "or wider bands"
            )
        limits += [lower + width * (k + 1) for k in range(int(count))]
        lower = upper
    bins = n_fft // 2 + 1
    edges = [-int(-limit * n_fft // sample_rate) for limit in limits]  # rounded up
    edges = [edge for edge in edges if edge < bins] + [bins]
    for low, high in zip(edges, edges[1:]):
        if high <= low:
            raise SepkitError(
                f"band split: a band at {low * sample_rate / n_fft:.0f} Hz is narrower than a bin "
                f"of {sample_rate / n_fft:.1f} Hz; use a larger n_fft or wider bands"
            )
    return edges


def by_width(edges: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Collect the bands that are equally wide, so that they can be computed together.

    Returns
    -------
    list of (int, list of int)
        Width in bins and the numbers of the bands that have it, narrowest first.
    """
    groups: dict[int, list[int]] = {}
    for band, (low, high) in enumerate(zip(edges, edges[1:])):
        groups.setdefault(high - low, []).append(band)
    return sorted(groups.items())
