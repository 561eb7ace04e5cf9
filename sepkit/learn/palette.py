"""Few colours for a picture: the course's own exactly, 64 of each colour map, and the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

#: Colours of a colour map: finer steps than a colour bar shows.
SHADES = 64
#: Colours of a PNG with a palette.
MOST = 256


def few_colours(
    image: Image.Image, exact: ArrayLike, maps: Sequence[ArrayLike] = (), others: int = 56
) -> Image.Image:
    """Reduce an image to a palette, every pixel to the nearest colour of it.

    Parameters
    ----------
    image : Image
        RGB.
    exact : array (colours, 3)
        Kept as they are, 0 to 255; so are those of large areas, such as a translucent bar.
    maps : sequence of array (shades, 3)
        The colours of colour maps, kept as they are.
    others : int
        Colours for all that is far from the ones above. They come from every colour counted
        once, so that rare ones, such as peaks, are kept.

    Returns
    -------
    Image, mode P
    """
    pixels = np.asarray(image.convert("RGB")).astype(np.int32)
    packed = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    found, index, count = np.unique(packed, return_inverse=True, return_counts=True)
    distinct = np.stack([found >> 16 & 255, found >> 8 & 255, found & 255], -1)
    large = distinct[count > 0.01 * count.sum()]
    kept = np.concatenate([np.asarray(exact).reshape(-1, 3), large, *maps])[: MOST - others]
    _, nearest = _nearest(distinct, kept)
    far = distinct[nearest > 8**2]
    if len(far):
        line = Image.fromarray(far[None].astype(np.uint8))
        few = line.quantize(others, method=Image.Quantize.MEDIANCUT)
        drawn = np.array((few.getpalette() or [])[: 3 * others]).reshape(-1, 3)
        # near-doubles would tint the background
        kept = np.concatenate([kept, drawn[_nearest(drawn, kept)[1] > 8**2]])
    places, _ = _nearest(distinct, kept)
    reduced = Image.fromarray(places.astype(np.uint8)[index].reshape(packed.shape), mode="P")
    reduced.putpalette(kept.astype(np.uint8).flatten().tolist())
    return reduced


def _nearest(colours: NDArray, palette: NDArray) -> tuple[NDArray, NDArray]:
    """For each colour its nearest in the palette, and the squared distance to it."""
    a, b = colours.astype(np.float64), palette.astype(np.float64)
    distance = (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)
    return distance.argmin(1), distance.min(1)
