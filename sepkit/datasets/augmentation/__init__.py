"""Static augmentation: every training song in further versions, on disk, in MUSDB18-HQ layout.

>>> augment("band", "band-x7", preset="student")   # doctest: +SKIP

Svystun, "The Impact of Remixing on Vocal Extraction in Low Data Regimes"
(2024), section 4.4.3: two versions of changed pitch, two of changed speed and
two shifted in time for every song, which makes the data set seven times as
large. The amounts are those of its section 2.3. Unlike remixing, which costs
next to nothing while training, changing pitch and speed takes long, so that it
is done once. Chapter 07 compares the two.
"""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from ...band.rendering import only_one, render_all
from ...errors import SepkitError
from ...files import commit, free_bytes, read_json, read_object, sweep, write_json
from ...names import plain_path
from ...runtime.threads import in_threads
from ..librimix.layout import is_mixture
from ..musdb18 import SUFFIX
from ..registry import SPLITS, data_folder
from ..sources import open_song, songs_by_split, songs_of_split
from .versions import (
    FACTS,
    Change,
    can_link,
    files_of,
    is_complete,
    link_or_copy_song,
    make_version,
    plan_changes,
)

MANIFEST = "augmented.json"
#: Digits of what once stood in the manifest for a song's identity: a hash of three blocks per file.
_OLD = 20
VERSION = 1  # of the samples that the same settings give; goes up whenever they change
#: A mixture that is closer to the sum of its stems than this (dB) counts as their sum.
SAME_MIXTURE = 60.0


def augment(
    data: str | Path,
    out: str | Path,
    pitch: Iterable[float] = (-2, 2),
    speed: Iterable[float] = (0.9, 1.1),
    shift: Iterable[float] = (-1, 1),
    speed_by: str = "stretch",
    with_valid: bool = False,
    preset: str | None = None,
    root: str | Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    notice: Callable[[str], None] | None = None,
) -> Path:
    """Write a data set with further versions of every training song.

    ``out/train/<song>`` is the song itself and ``out/train/<song> [pitch +2]``
    a version of it: 16-bit WAV at the song's rate, all stems changed alike, the
    mixture their exact sum. The songs of valid and test stay as they are, in
    folders of their own, so that no version of a validation song is trained on:
    ``sepkit train --data out`` is all that is left to do. ``out/augmented.json``
    says how everything was made. Finished versions are kept, so an interrupted
    call goes on where it stopped; songs that were added to `data` are added here, and those of
    which a sample has changed are brought and made into versions anew.

    Parameters
    ----------
    data : str or Path
        As in `open_tracks`. MUSDB18's validation songs stay validation; without
        a ``valid/`` folder or those names, it is every seventh song. A folder
        without train/ and test/ has no test songs here, for they would be the
        training songs again.
    out : str or Path
        A new folder, or that of an earlier call with the same settings.
    pitch : iterable of float
        Semitones, one version for each; the length stays.
    speed : iterable of float
        Factors, one version for each; 1.1 shortens 10 s to 9.09 s.
    shift : iterable of float
        Seconds, one version for each; positive is later. The gap is silence and the
        length stays: what is moved over the end is cut off.
    speed_by : {"stretch", "resample"}
        ``"stretch"`` keeps the pitch (the source speaks of time stretching and
        of tempo); ``"resample"`` moves it along as a tape does (the speed
        perturbation of Ko et al. 2015, which the source cites for it).
    with_valid : bool
        Train on the validation songs and versions of them too (the source's
        Table 5.6). They stay in ``valid/`` as well, since training needs some
        validation songs, but say nothing about unknown songs any more.
    preset, root : str, optional
        As in `open_tracks`.
    workers : int, optional
        Processes; the number of cores by default. A process holds one song.
    progress : callable, optional
        Called as ``progress(done, total)`` after every version.
    notice : callable, optional
        Takes one line of text; printed to stderr by default.

    Returns
    -------
    Path
        `out`

    Raises
    ------
    SepkitError
        For settings outside their range, too little disk space (before
        anything is made), an unreadable song, or an `out` that holds further
        songs or other settings.

    Notes
    -----
    The songs themselves are hard links where the file system allows it and
    copies elsewhere: do not edit them in place. A version that would go beyond
    full scale is lowered, all its stems by one gain; how much stands in its
    ``version.json`` and is said at the end.
    """
    changes, out, notice = plan_changes(pitch, speed, shift, speed_by), Path(out), notice or _print
    splits = _splits(data_folder(data, root, preset), out, with_valid)
    jobs = [
        (_target(song, out, change), song, change) for song in splits["train"] for change in changes
    ]
    _no_namesakes(jobs, splits["train"], out)
    _no_longer_than_the_song(jobs)
    settings = {
        "version": VERSION,
        "changes": [asdict(change) for change in changes],
        "with_valid": with_valid,
    }
    songs = _identities(splits)
    _same(out, settings, songs)
    with only_one(out, ".augment.lock"):
        _same(out, settings, songs)
        _sweep(out, songs)
        _discard(out, jobs, songs, notice)
        missing = [job for job in jobs if not is_complete(job[0])]
        _check_space(out, missing, splits, notice)
        _write_manifest(out, settings, songs, {}, complete=False)
        for split in SPLITS:
            # An empty valid/ keeps open_tracks from taking songs out of train.
            (out / split).mkdir(exist_ok=True)
            for song in splits[split]:
                link_or_copy_song(song, out / split / song.name)
        done = iter(range(1, len(missing) + 1))
        render_all(
            missing,
            workers or os.cpu_count() or 1,
            lambda: progress(next(done), len(missing)),
            make_version,
        )
        versions = {f"train/{folder.name}": read_json(folder / FACTS) for folder, _, _ in jobs}
        _write_manifest(out, settings, songs, versions, complete=True)
    _report(versions, splits, with_valid, notice)
    return out


def _print(text):
    print(text, file=sys.stderr)


def _splits(folder, out, with_valid):
    """{split of `out`: [song paths]}, every song opened once, so that a broken one is found now."""
    if (folder / MANIFEST).is_file():
        raise SepkitError(f"{folder}: is augmented already; give the songs that it was made from")
    if out.resolve().is_relative_to(folder.resolve()):
        raise SepkitError(
            f"{out}: lies in {folder}, the songs to augment; choose a folder elsewhere"
        )
    songs = songs_by_split(folder)
    if any(is_mixture(song) for paths in songs.values() for song in paths[:1]):
        raise SepkitError(f"{folder}: holds mixtures of LibriMix; songs were expected")
    splits = {
        "train": songs_of_split(songs, "train"),
        "valid": songs_of_split(songs, "valid"),
        "test": songs.get("test", []),
    }
    if not splits["train"]:
        raise SepkitError(
            f"{folder}: no songs for train found; expected train/SONG/vocals.wav ... or "
            "SONG/vocals.wav ..."
        )
    if with_valid:
        splits["train"] = splits["train"] + splits["valid"]
    for song in {song for split in splits for song in splits[split]}:
        open_song(song)
    return splits


def _identities(splits):
    """{split/song: identity of its Track}"""
    places = [(split, song) for split in splits for song in splits[split]]
    found = in_threads(lambda place: open_song(place[1]).identity(), places)
    return {f"{split}/{song.name}": identity for (split, song), identity in zip(places, found)}


def _target(song, out, change):
    return out / "train" / f"{song.name.removesuffix(SUFFIX)} [{change.label}]"


def _no_namesakes(jobs, songs, out):
    names = Counter([song.name for song in songs] + [target.name for target, _, _ in jobs])
    name, count = names.most_common(1)[0]
    if count > 1:
        raise SepkitError(
            f"{out / 'train' / name}: {count} songs or versions would have this name; rename one "
            "of the songs"
        )


def _no_longer_than_the_song(jobs):
    """Refuse a shift that would leave nothing of a song, before anything is made."""
    for _, song, change in jobs:
        if change.kind == "shift":
            track = open_song(song)
            if abs(change.amount) * track.sample_rate >= track.samples:
                seconds = track.samples / track.sample_rate
                raise SepkitError(
                    f"{song}: lasts {seconds:.1f} s, shift is {change.amount:g} s; give a shorter "
                    "one"
                )


def _check_space(out, missing, splits, notice):
    """Say what the disk has to hold, and stop where it cannot."""
    tracks = {song: open_song(song) for song in {song for _, song, _ in missing}}
    need = 0
    for _, song, change in missing:
        track = tracks[song]
        need += change.samples(track.samples) * track.channels * 2 * (len(track.stems) + 1)
    absent = [
        song for split in splits for song in splits[split] if not (out / split / song.name).exists()
    ]
    linked = not absent or can_link(files_of(absent[0])[0], out)
    if not linked:
        need += sum(file.stat().st_size for song in absent for file in files_of(song))
    free, how = (
        free_bytes(out),
        "linked, which takes no space" if linked else "copied, which is counted",
    )
    if not missing and not absent:
        return notice(f"augment: {out} is complete")
    notice(
        f"augment: {len(missing)} versions of {len(tracks)} songs need {need / 1e9:.2f} GB, "
        f"{free / 1e9:.1f} GB are free; the songs themselves are {how}"
    )
    if need > free:
        raise SepkitError(
            f"{out}: {need / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free; "
            "free some space, choose another folder, or make fewer versions"
        )
    return None


def _same(out, settings, songs):
    """Refuse a folder that holds something else."""
    if not (out / MANIFEST).is_file():
        if any(any((out / split).glob("[!.]*")) for split in SPLITS):
            raise SepkitError(f"{out}: holds songs but no {MANIFEST}; choose an empty folder")
        return
    if not _any_version(out):
        return  # an earlier call has failed before anything was made
    before = _read_manifest(out)
    changed = [
        f"{_show(before['settings'].get(key))}, now {_show(value)}"
        for key, value in settings.items()
        if before["settings"].get(key) != value
    ]
    if changed:
        raise SepkitError(
            f"{out}: was made with {'; '.join(changed)}; choose another folder or delete this one"
        )
    for name in before["songs"]:
        if name not in songs:
            what = "is not among the songs any more, or in another split"
            raise SepkitError(
                f"{out}: {name}, which it was made from, {what}; choose another folder or delete "
                "this one"
            )


def _show(value):
    if isinstance(value, list):
        return ", ".join(
            Change(**change).label + (" (resampled)" if change["by"] == "resample" else "")
            for change in value
        )
    return f"with_valid={value}" if isinstance(value, bool) else f"version {value} of the method"


def _discard(out, jobs, songs, notice):
    """Remove what was made from songs that have changed since.

    The manifest still has their old identities then, so that after a stop they are found again.
    """
    if not (out / MANIFEST).is_file():
        return
    before = _read_manifest(out)["songs"]
    if any(len(sound) == _OLD for sound in before.values()):
        notice(
            f"augment: {out} was made before songs were recorded by all their bytes; "
            "what is there is taken to be made from them as they are"
        )
    recorded = {name: sound for name, sound in before.items() if len(sound) != _OLD}
    changed = {name for name, sound in recorded.items() if sound != songs.get(name, sound)}
    made = [folder for folder, song, _ in jobs if f"train/{song.name}" in changed]
    for path in [*(out / name for name in changed), *made]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if changed:
        what = f"{len(changed)} songs have changed ({min(changed)} ...)"
        notice(f"augment: {what}: they and their versions are made again")


def _any_version(out):
    return any((out / "train").glob(f"*/{FACTS}"))


def _sweep(out, songs):
    """Remove what a killed call left behind, and the songs of a failed call that are not ours."""
    for split in SPLITS:
        sweep(out / split)
    if (out / MANIFEST).is_file() and not _any_version(out):
        for name in set(_read_manifest(out)["songs"]) - set(songs):
            place = out / name
            shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)


def _read_manifest(out):
    """The manifest, whose songs may name what is removed: so each must lie in this folder."""
    manifest = read_object(out / MANIFEST, settings=dict, songs=dict)
    for name, sound in manifest["songs"].items():
        plain_path(name, "song", out / MANIFEST)
        if (
            name.partition("/")[0] not in SPLITS
            or name.count("/") != 1
            or not isinstance(sound, str)
        ):
            raise SepkitError(
                f"{out / MANIFEST}: {name!r} is no song of this folder; restore the file or "
                "delete the folder"
            )
    return manifest


def _write_manifest(out, settings, songs, versions, complete):
    packages = {
        name: metadata.version(name)
        for name in ("sepkit", "numpy", "scipy", "soundfile", "soxr", "torch")
    }
    facts = {
        "complete": complete,
        "settings": settings,
        "made_with": {"commit": commit(), **packages},
        "songs": songs,
    }
    write_json(out / MANIFEST, {**facts, "versions": versions})


def _report(versions, splits, with_valid, notice):
    """Say what matters about the data set that was made."""
    if with_valid:
        notice(
            "the validation songs are trained on too: the validation loss says nothing about "
            "unknown songs"
        )
    for split in ("valid", "test"):
        if not splits[split]:
            notice(f"there are no {split} songs")
    lowered = {name: facts["gain_db"] for name, facts in versions.items() if facts["gain_db"]}
    if lowered:
        name = min(lowered, key=lowered.get)
        notice(
            f"{len(lowered)} versions would go beyond full scale and are lowered, all stems alike; "
            f"most: {name}, {lowered[name]:.1f} dB"
        )
    other = {facts["song"]: facts["mixture_against_sum_db"] for facts in versions.values()}
    other = {
        song: level for song, level in other.items() if level is not None and level < SAME_MIXTURE
    }
    if other:
        song = min(other, key=other.get)
        notice(
            f"the mixture of {len(other)} songs is not the sum of its stems (in their versions it "
            f"is); most: {song}, {other[song]:.0f} dB"
        )
