"""Random mixing: new songs out of the stems of old ones.

The augmentation of Uhlich et al., "Improving music source separation based
on deep neural networks through data augmentation and network blending",
ICASSP 2017, as Open-Unmix uses it: each stem from a song of its own, random
gains, random exchange of left and right. Chapter 04 listens to it.
"""


def pick(rng, index, tracks, stems, random_tracks=True):
    """From which track each stem of an example comes.

    Parameters
    ----------
    rng : numpy.random.Generator
    index : int
        The track that the example belongs to.
    tracks : int
        How many tracks there are.
    stems : sequence of str
    random_tracks : bool
        Draw a track for every stem, the target included; otherwise all
        stems come from track `index`.

    Returns
    -------
    dict of str to int
    """
    return {stem: int(rng.integers(tracks)) if random_tracks else index for stem in stems}


def augment(stem, rng, gains=(0.25, 1.25), swap=0.5):
    """Scale a stem by a random gain and perhaps exchange its channels.

    Parameters
    ----------
    stem : Tensor
        (channels, samples); not modified.
    rng : numpy.random.Generator
    gains : (float, float) or None
        Range of the uniformly drawn gain; None leaves the level.
    swap : float
        Probability that left and right change places (stereo only).

    Returns
    -------
    Tensor
        (channels, samples)
    """
    # Both numbers are always drawn, so that switching one option off does not change the other's draws.
    gain, chance = rng.uniform(*(gains or (1.0, 1.0))), rng.uniform()
    if stem.shape[0] == 2 and chance < swap:
        stem = stem.flip(0)
    return stem * gain
