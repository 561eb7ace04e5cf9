"""Song sets: means compare only over the same songs. Chapter 12."""

from collections.abc import Hashable, Mapping, Sequence

from ..metrics.scores import Score


def by_song_set(
    systems: Mapping[Hashable, Sequence[Score]],
) -> list[tuple[tuple[str, ...], dict[Hashable, Sequence[Score]]]]:
    """Part systems by the songs that they were scored on.

    Parameters
    ----------
    systems : dict
        System -> its Scores, of one metric and data set.

    Returns
    -------
    list of (songs, dict)
        The most songs first; the systems of a set in their order.
    """
    found: dict[tuple[str, ...], dict] = {}
    for system, scores in systems.items():
        songs = tuple(sorted({score.track for score in scores}))
        found.setdefault(songs, {})[system] = scores
    return sorted(found.items(), key=lambda item: -len(item[0]))


def over_common_songs(parts: Sequence[Sequence[Score]]) -> list[list[Score]]:
    """The Scores of the songs that all have, target by target: only such means compare.

    Parameters
    ----------
    parts : list of list of Score
        Such as one list for each separator, of one metric and data set.

    Returns
    -------
    list of list of Score
        As many lists. A song counts for a target where every part that scored the target has a
        number for it, with every seed; a part that has none at all for a target is not asked,
        and nothing is left of it.
    """
    songs: dict[str, list[set[str]]] = {}
    for scores in parts:
        scored: dict[str, set] = {}
        missing: dict[str, set] = {}
        for score in scores:
            known = score.value == score.value  # NaN: silent, not scored
            (scored if known else missing).setdefault(score.target, set()).add(score.track)
        for target, tracks in scored.items():
            songs.setdefault(target, []).append(tracks - missing.get(target, set()))
    common = {target: set.intersection(*found) for target, found in songs.items()}
    return [
        [s for s in scores if s.track in common.get(s.target, ()) and s.value == s.value]
        for scores in parts
    ]
