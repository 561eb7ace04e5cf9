"""Pairing folders of estimated stems with folders of true ones: by name, never by order."""

from dataclasses import dataclass
from pathlib import Path

import torch

from . import audio
from .datasets import SPLITS, open_tracks
from .datasets.folders import audio_files, is_song
from .errors import SepkitError


@dataclass
class Song:
    """A track and the files with its estimates: {target: path}."""

    track: object
    files: dict

    def read(self, told):
        """References and estimates {target: (channels, samples)}, made to fit; what had to be done is added to `told`."""
        references = {target: self.track.stem(target) for target in self.files}
        estimates = {target: self._fitted(path, references[target], told) for target, path in self.files.items()}
        told += mixed_up(self.track.name, references, estimates)
        return references, estimates

    def _fitted(self, path, reference, told):
        rate, (channels, samples) = self.track.sample_rate, reference.shape
        header = audio.info(path)
        if header.sample_rate != rate:
            told.append(("rate", f"{path}: {header.sample_rate} Hz, resampled to the references' {rate} Hz"))
        if header.channels != channels:
            told.append(("channels", f"{path}: {header.channels} channel(s), made {channels} like the reference"))
        estimate = audio.read(path, sample_rate=rate, channels=channels)[0]
        missing = samples - estimate.shape[-1]
        if abs(missing) > (header.sample_rate != rate):  # resampling may round up one sample
            done = "padded with silence at its end" if missing > 0 else "cut at its end"
            told.append(("length", (
                f"{path}: {estimate.shape[-1]} samples, but the reference has {samples}: {done}; "
                "if the two do not start together, the scores mean nothing: separate the song again"
            )))  # fmt: skip
        return torch.nn.functional.pad(estimate, (0, max(0, missing)))[..., :samples]


def paired_songs(reference, estimate, sample_rate=None):
    """Pair songs and stems by name.

    Parameters
    ----------
    reference, estimate : str or Path
        Two song folders, or two folders of songs; `estimate` may also hold them
        under ``test/`` and the like, as the reference may.
    sample_rate : int, optional

    Returns
    -------
    songs : list of Song
    told : list of (kind, text)
        What was left out, and why.

    Raises
    ------
    SepkitError
        As `sepkit.evaluation.evaluate_folders`.
    """
    if not Path(estimate).is_dir():
        raise SepkitError(f"{estimate}: no such folder; a folder with estimated stems was expected")
    tracks = open_tracks(reference, sample_rate=sample_rate)
    folders = _song_folders(Path(estimate))
    told = []
    if is_song(estimate) and Path(reference).is_dir() and is_song(reference):
        pairs = [(tracks[0], Path(estimate))]  # one song each: their folders may have any names
    elif is_song(estimate):
        raise SepkitError(
            f"{estimate}: holds stems, but {reference} holds {len(tracks)} song(s): give the folder of that song as the reference, "
            "or put the stems into a folder named after it"
        )
    else:
        pairs = [(track, folders[track.name]) for track in tracks if track.name in folders]
        _check_songs(reference, estimate, tracks, folders, pairs, told)
    songs = [_pair_stems(track, folder, told) for track, folder in pairs]
    _check_alike(songs)
    return songs, told


def _song_folders(folder):
    """{song name: folder} right in a folder or in its train/, valid/ or test/."""
    places = [folder, *(folder / split for split in SPLITS if (folder / split).is_dir() and not is_song(folder / split))]
    return {
        song.name: song for place in places for song in sorted(place.iterdir())
        if song.is_dir() and not song.name.startswith(".") and is_song(song)
    }  # fmt: skip


def _check_songs(reference, estimate, tracks, folders, pairs, told):
    if not folders:
        raise SepkitError(f"{estimate}: no audio files, and no folders with any; expected SONG/vocals.wav, ...")
    if not pairs:
        raise SepkitError(
            f"no song of {estimate} ({_some(folders)}) has the name of one of {reference} ({_some(t.name for t in tracks)}); "
            "songs are paired by the names of their folders: rename them"
        )
    paired = {track.name for track, _ in pairs}
    if missing := [track.name for track in tracks if track.name not in paired]:
        told.append(("songs", f"{estimate}: no estimates for {len(missing)} of {len(tracks)} songs ({_some(missing)}): scored without them"))
    if extra := [name for name in folders if name not in paired]:
        told.append(("extra songs", f"{estimate}: {_some(extra)} left out, having no reference of that name"))


def _pair_stems(track, folder, told):
    files = {name: path for name, path in audio_files(folder).items() if name != "mixture"}
    shared = {target: files[target] for target in track.stems if target in files}
    if not shared:
        raise SepkitError(
            f"{folder}: its files ({_some(files)}) and the references of {track.name} ({', '.join(track.stems)}) have no name in common; "
            "stems are paired by name: rename the files"
        )
    for name in files:
        if name not in track.stems:
            told.append(("extra stems", f"{files[name]}: left out, there is no reference {name!r} (there are {', '.join(track.stems)})"))
    if missing := [target for target in track.stems if target not in files]:
        told.append(("missing stems", f"{folder}: no estimate of {', '.join(missing)}; scored without, which can change the frames that count for csdr"))
    return Song(track, shared)


def _check_alike(songs):
    """A stem that only some songs lack is a mistake, and their scores could not be summarised together."""
    found = {target for song in songs for target in song.files}
    for song in songs:
        for target in song.track.stems:
            if target in found and target not in song.files:
                folder = next(iter(song.files.values())).parent
                raise SepkitError(
                    f"{folder}: no estimate of {target}, which other songs have; separate this song again, or take it out of the folder"
                )


def mixed_up(track, references, estimates):
    """A notice where each estimate resembles the reference of another one: files under wrong names.

    Only a true exchange counts: a mixture that stands for all stems resembles the loudest.
    """
    names = [name for name in references if references[name].any() and estimates[name].any()]
    if len(names) < 2:
        return []
    rows = [torch.stack([audios[name].flatten() for name in names]) for audios in (estimates, references)]
    estimate, reference = (torch.nn.functional.normalize(x.double(), dim=1) for x in rows)
    likeness = (estimate @ reference.T).square()  # squared correlation
    best = likeness.argmax(1).tolist()
    moved = [k for k in range(len(names)) if best[k] != k]
    if sorted(best) != list(range(len(names))) or not all(likeness[k, best[k]] > 4 * likeness[k, k] for k in moved):
        return []
    return [
        ("mixed up", f"{track}: the estimate {names[k]!r} resembles the reference {names[best[k]]!r} far more than its own; are the files named right?")
        for k in moved
    ]  # fmt: skip


def _some(names, at_most=3):
    names = list(names)
    return ", ".join(names[:at_most]) + (f" and {len(names) - at_most} more" if len(names) > at_most else "")
