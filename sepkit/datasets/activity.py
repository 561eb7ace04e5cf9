"""Source activity detection: where in a song a stem is active.

After section IV of Luo and Yu, "Music source separation with band-split RNN",
2022: segments of 6 s that overlap by half, each of 10 chunks; a segment is kept if
more than half of its chunks are louder than a threshold, which is the 15 % quantile of
all chunks of the track, but at least 1e-3. Chapter 07 shows what it leaves out.

The paper does not say what "energy" means. Here it is the sum of squares over a
chunk, averaged over channels (so that mono and its stereo copy are judged alike, and
opposite channels do not cancel), and counted as if sampled at 44.1 kHz, so that it does not
depend on the sample rate. The threshold of 1e-3 is then -74 dB below full
scale, and the silent chunk's 1e-5 lies below it. Chunks that two segments share
count in both. Nor does the paper say what becomes of a song's end: here a last segment
holds what is left, and only the chunks it has are counted; so too in songs shorter than a
segment.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import SepkitError
from ..files import data_root, digest, read_json, write_json
from ..runtime.threads import in_threads
from .track import Track

SECONDS = 6.0
CHUNKS = 10  # per segment; with an overlap of half, the next begins 5 chunks later
QUANTILE = 0.15
SILENT = 1e-5
LEAST = 1e-3
#: Part of every cached index's name: another method is another index.
METHOD = f"{SECONDS} {CHUNKS} {QUANTILE} {SILENT} {LEAST}; 2"
#: Chunks read at a time: a minute, so that long songs are not held whole.
BLOCK = 100


@dataclass(frozen=True)
class Activity:
    """The active segments of several tracks.

    Attributes
    ----------
    starts : list of dict
        For each track {stem: first samples of its active segments}; none for a stem
        that is hardly ever active.
    segments : list of int
        Segments of each track, active or not.
    frames : int
        Samples of a segment.
    """

    starts: list
    segments: list
    frames: int

    def statistics(self) -> list[dict]:
        """One row per stem: its segments, how many are kept, and in how many songs none is.

        Returns
        -------
        list of dict
            stem, songs, segments, kept, share (kept of segments), kept_a_song (mean), songs_without
        """
        rows = []
        for stem in dict.fromkeys(stem for starts in self.starts for stem in starts):
            kept = [len(starts.get(stem, ())) for starts in self.starts]  # a song may lack the stem
            rows.append(
                dict(
                    stem=stem,
                    songs=len(kept),
                    segments=sum(self.segments),
                    kept=sum(kept),
                    share=sum(kept) / sum(self.segments),
                    kept_a_song=sum(kept) / len(kept),
                    songs_without=kept.count(0),
                )
            )
        return rows


def find(
    tracks: Sequence[Track],
    folder: str | Path | None = None,
    workers: int | None = None,
    damaged: Callable[[Exception], None] | None = None,
) -> Activity:
    """The active segments of all stems of all tracks, from the cache or found now.

    Parameters
    ----------
    tracks : list of Track
        Of one sample rate.
    folder : str or Path, optional
        Where the index is kept, one small file per song; by default ``activity`` in the data
        root (`sepkit.files.data_root`). An entry is made again when the song's files
        change. Tracks that lie in memory only are not kept.
    workers : int, optional
        Songs at a time; by default one per core, at most 8.
    damaged : callable, optional
        Gets the error of each song that cannot be read, which is left out then.

    Returns
    -------
    Activity

    Raises
    ------
    SepkitError
        Without tracks or with tracks of several rates, as reading them, and if the index cannot
        be written.
    """
    if not tracks or len({track.sample_rate for track in tracks}) != 1:
        raise SepkitError("source activity: tracks of one sample rate were expected")
    folder = data_root() / "activity" if folder is None else Path(folder)
    found = in_threads(lambda track: _of_track(track, folder), tracks, workers)
    errors = [error for error in found if isinstance(error, Exception)]
    for error in errors:
        if damaged is None or len(errors) == len(tracks):
            raise error
        damaged(error)
    found = [one for one in found if not isinstance(one, Exception)]
    return Activity(
        [starts for _, starts in found],
        [segments for segments, _ in found],
        CHUNKS * _chunk(tracks[0].sample_rate),
    )


def _of_track(track, folder):
    """(number of segments, {stem: starts}) of a track, or the error if it cannot be read."""
    try:
        path = folder / f"{digest(METHOD, track.identity())}.json" if track.paths else None
    except (SepkitError, OSError) as error:
        return error
    if path and path.exists():
        entry = read_json(path)
        try:
            return int(entry["segments"]), {
                stem: [int(start) for start in entry["starts"][stem]] for stem in track.stems
            }
        except (KeyError, TypeError, ValueError):
            raise SepkitError(
                f"{path}: not an index of active segments; delete it to have it made again"
            ) from None
    try:
        energies = {stem: chunk_energies(track, stem) for stem in track.stems}
    except (SepkitError, OSError) as error:
        return error
    starts = {
        stem: (active_segments(values) * (CHUNKS // 2) * _chunk(track.sample_rate)).tolist()
        for stem, values in energies.items()
    }
    segments = len(segments_of(next(iter(energies.values()))))
    if path:
        write_json(path, {"track": track.name, "segments": segments, "starts": starts}, indent=None)
    return segments, starts


def _chunk(sample_rate):
    return max(1, round(SECONDS / CHUNKS * sample_rate))


def chunk_energies(track: Track, stem: str) -> np.ndarray:
    """The energies of a stem's chunks of 0.6 s, one after another.

    Returns
    -------
    ndarray
        float64, (chunks,). The last one is padded with silence.
    """
    size = _chunk(track.sample_rate)
    energies = []
    for start in range(0, track.samples, BLOCK * size):
        block = track.stem(stem, start, min(BLOCK * size, track.samples - start)).numpy()
        squares = np.square(block, dtype=np.float64).mean(0)  # (frames,)
        energies.append(np.pad(squares, (0, -len(squares) % size)).reshape(-1, size).sum(1))
    return np.concatenate(energies) * (44100 / track.sample_rate)


def segments_of(energies: np.ndarray) -> np.ndarray:
    """Energies of the chunks by segments: (segments, 10), NaN behind the end of the track."""
    hop = CHUNKS // 2
    missing = max(CHUNKS - len(energies), -(len(energies) - CHUNKS) % hop)
    padded = np.pad(energies, (0, missing), constant_values=np.nan)
    return np.lib.stride_tricks.sliding_window_view(padded, CHUNKS)[::hop]


def active_segments(energies: np.ndarray) -> np.ndarray:
    """Numbers of the segments in which a stem is active; segment n begins with chunk 5 n.

    Parameters
    ----------
    energies : ndarray
        (chunks,), of one stem of a whole track, see `chunk_energies`.

    Returns
    -------
    ndarray
        int, ascending
    """
    segments = segments_of(np.where(energies > 0, energies, SILENT))
    threshold = max(np.nanquantile(segments, QUANTILE), LEAST)
    loud, there = segments > threshold, ~np.isnan(segments)
    return np.flatnonzero(loud.sum(1) > 0.5 * there.sum(1))
