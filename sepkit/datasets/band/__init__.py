"""The embedded data set, "the band": songs rendered on this machine, in MUSDB18-HQ layout.

>>> from sepkit.datasets import band
>>> root = band.ensure("student")                                       # doctest: +SKIP
>>> band.render("ska", train=0, test=6, genres=["ska"], horn_correlation=0.8)   # doctest: +SKIP

As Slakh does from MIDI, songs are composed and played by program: sampled
instruments (the sound font that pretty_midi bundles) and a singing voice with
words (espeak-ng and WORLD), or plain DSP for both where those are missing.
Nothing rendered is shipped. `KNOBS` lists what can be set for controlled
experiments; the test songs share no kit, program, pattern, progression, voice
or word with the train songs.
"""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

from ...errors import SepkitError, unknown
from ...files import data_root, free_bytes, read_json, write_json
from .genres import GENRES
from .knobs import KNOBS, Knobs

PRESETS = {
    "smoke": {"train": 4, "test": 2, "seconds": 8.0},
    "student": {"train": 24, "test": 8, "seconds": 20.0},
    "paper": {"train": 400, "test": 50, "seconds": 30.0},
    "checkpoints": {"train": 300, "test": 12, "seconds": 20.0},
}
VERSION = 1  # of the songs that a seed gives; goes up whenever they change
MANIFEST = "band.json"
_BYTES_A_SECOND = 5 * 44100 * 2 * 2


def ensure(preset="student", root=None, workers=None, progress=True):
    """The folder of a preset, rendered now if it is missing or unfinished.

    Parameters
    ----------
    preset : str
        A name of `PRESETS`.
    root : str or Path, optional
        Data root; the songs land in ``<root>/band/<preset>``.

    Returns
    -------
    Path

    Raises
    ------
    SepkitError
        For an unknown preset, and as `render`.
    """
    if preset not in PRESETS:
        raise unknown("band preset", preset, PRESETS)
    folder = data_root(root) / "band" / preset
    existing = folder / MANIFEST
    if existing.is_file():
        manifest = read_json(existing)
        if manifest.get("complete") and manifest.get("settings", {}).get("version") == VERSION:
            return folder
    return render(folder, workers=workers, progress=progress, **PRESETS[preset])


def render(root, train=24, test=8, seconds=20.0, seed=0, genres=None, workers=None, voice="auto", instruments="auto",
           speech=None, progress=True, **knobs):
    """Render songs (and speech) in MUSDB18-HQ layout.

    ``root/<train|test>/<song>/{mixture,drums,bass,other,vocals}.wav``: 44.1 kHz,
    stereo, int16, the mixture the exact sum of the stems. Speech lies in
    ``root/speech/<train|test>/<speaker>/<number>.wav``, and ``root/band.json``
    says how everything was made. Songs that exist already are kept, so an
    interrupted call goes on where it stopped, and a larger `train` or `test`
    only adds songs.

    Parameters
    ----------
    root : str or Path
    train, test : int
        Songs of each split.
    seconds : float
        Length of every song, 2 ... 600.
    seed : int
        Same seed, same songs (to 1 LSB), whatever the number of workers.
    genres : list of str, optional
        Genres in turn; all of them by default.
    workers : int, optional
        Processes; the number of cores by default.
    voice : {"auto", "espeak", "dsp"}
    instruments : {"auto", "sampled", "dsp"}
        "auto" takes the better one that is installed, says so once and notes it in the manifest.
    speech : dict or False, optional
        Arguments of `speech.render_speech`; False renders none.
    progress : bool
        A progress bar, on a terminal only.
    **knobs
        See `KNOBS`; one that is not given is drawn for each song.

    Returns
    -------
    Path
        `root`

    Raises
    ------
    SepkitError
        For unknown names, values outside their range, too little disk space,
        or a root that was rendered with other settings.
    """
    root = Path(root)
    settings = _settings(train, test, seconds, seed, genres, voice, instruments, speech, knobs)
    engine = (settings["voice"], settings["instruments"])
    _same_settings(root, settings)
    plans = _plans(settings, train, test)
    jobs = [(folder, plan) for folder, plan in ((root / p.split / p.name, p) for p in plans) if not _done(folder)]
    need = sum(plan.seconds for _, plan in jobs) * _BYTES_A_SECOND
    if need > free_bytes(root):
        raise SepkitError(f"{root}: {len(jobs)} songs need {need / 1e9:.1f} GB, {free_bytes(root) / 1e9:.1f} GB are free; choose another folder or fewer songs")
    if jobs:
        from .rendering import render_all, sweep

        sweep(root)
        _announce(f"band: {len(jobs)} songs, {need / 1e9:.2f} GB, voice {engine[0]}, instruments {engine[1]} -> {root}", progress)
        _write_manifest(root, settings, plans, complete=False)
        with _bar(len(jobs), progress) as advance:
            render_all(jobs, workers or os.cpu_count() or 1, advance)
    if settings["speech"] is not None:
        _speech(root, settings)
    _write_manifest(root, settings, plans, complete=True)
    return root


def _settings(train, test, seconds, seed, genres, voice, instruments, speech, knobs):
    """Check every argument; the settings as they stand in the manifest."""
    from .instruments import choose

    for name, value in (("train", train), ("test", test), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise SepkitError(f"{name}={value!r}: give a whole number, 0 or more")
    if train + test == 0:
        raise SepkitError("train=0 and test=0: nothing to render; ask for at least one song")
    if not 2 <= seconds <= 600:
        raise SepkitError(f"seconds={seconds!r}: give a number from 2 to 600")
    knobs = Knobs.of(**knobs)
    genres = [genres] if isinstance(genres, str) else list(genres or ([knobs.genre] if knobs.genre else GENRES))
    for genre in genres:
        if genre not in GENRES:
            raise unknown("genre", genre, GENRES)
    return {
        "version": VERSION,
        "seconds": float(seconds),
        "seed": seed,
        "genres": genres,
        "voice": _voice_engine(voice),
        "instruments": choose(instruments),
        "knobs": knobs.given(),
        "speech": None if speech is False else dict(speech or {}),
    }


def _voice_engine(voice):
    from .voice import available_engine

    if voice not in ("auto", "espeak", "dsp"):
        raise unknown("voice", voice, ("auto", "espeak", "dsp"))
    found = available_engine()
    if voice == "espeak" and found != "espeak":
        raise SepkitError("voice='espeak' needs espeakng-loader and pyworld: pip install 'sepkit[band]', or pass voice='dsp'")
    return found if voice == "auto" else voice


def _same_settings(root, settings):
    """Refuse a root that holds other songs."""
    if not (root / MANIFEST).is_file():
        if any(any((root / split).glob("[!.]*")) for split in ("train", "test")):
            raise SepkitError(f"{root}: holds songs but no {MANIFEST}; choose an empty folder")
        return
    before = read_json(root / MANIFEST).get("settings", {})
    changed = [f"{k} {before.get(k)!r}, now {v!r}" for k, v in settings.items() if k != "speech" and before.get(k) != v]
    if changed:
        raise SepkitError(f"{root}: was rendered with {'; '.join(changed)}; choose another folder or delete this one")


def _plans(settings, train, test):
    from .song import Plan

    knobs = Knobs.of(**settings["knobs"])
    return [
        Plan(split, index, settings["genres"][index % len(settings["genres"])], settings["seconds"], settings["seed"],
             settings["voice"], settings["instruments"], knobs)
        for split, count in (("train", train), ("test", test))
        for index in range(count)
    ]


def _done(folder):
    from .rendering import is_complete

    return is_complete(folder)


def _speech(root, settings):
    try:
        from .speech import render_speech
    except ImportError:
        return
    render_speech(root, seed=settings["seed"], **settings["speech"])


def _write_manifest(root, settings, plans, complete):
    from ... import __version__

    songs = {}
    for plan in plans if complete else []:
        songs[f"{plan.split}/{plan.name}"] = read_json(root / plan.split / plan.name / "song.json")
    write_json(root / MANIFEST, {"sepkit": __version__, "complete": complete, "settings": settings, "songs": songs})


def _announce(text, progress):
    if progress:
        print(text, file=sys.stderr)


@contextmanager
def _bar(total, progress):
    """Yields a function to call after each song; a bar on a terminal, silence elsewhere."""
    if not (progress and sys.stderr.isatty()):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("rendering songs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("songs", total=total)
        yield lambda: bar.advance(task)
