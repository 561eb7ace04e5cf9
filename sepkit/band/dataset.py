"""Rendering a whole data set: settings, presets, the manifest."""

import inspect
import itertools
import os
import sys

from ..console import progress_bar
from ..errors import SepkitError, unknown
from ..files import data_root, free_bytes, read_json, read_object, write_json
from ..names import plain_path
from ..validation import SEED, Number, checked, place
from .genres import GENRES
from .knobs import Knobs

PRESETS = {
    "smoke": {
        "train": 4,
        "test": 2,
        "seconds": 8.0,
        "speech": {"speakers_train": 4, "speakers_test": 2, "utterances": 3},
    },
    "student": {"train": 24, "test": 8, "seconds": 20.0},
    "paper": {"train": 400, "test": 50, "seconds": 30.0},
    "experiments": {
        "train": 28,
        "test": 24,
        "seconds": 20.0,
        "speech": {"speakers_train": 24, "speakers_test": 4, "utterances": 6},
    },
    "checkpoints": {"train": 300, "test": 12, "seconds": 20.0, "speech": False},
}
VERSION = 2  # of the songs that a seed gives; goes up whenever they change
MANIFEST = "band.json"
_SONGS, _SECONDS = Number(0, 10**7), Number(2, 600, whole=False)
_BYTES_PER_SECOND = 5 * 44100 * 2 * 2


def ensure(preset="student", root=None, workers=None, progress=True, soundfonts=None):
    """The folder of a preset, rendered now if it is missing or unfinished.

    Songs of another version of the band are set aside first: ``<preset>`` becomes ``<preset>-v1``.

    Parameters
    ----------
    preset : str
        A name of `PRESETS`.
    root : str or Path, optional
        Data root; the songs land in ``<root>/band/<preset>``.
    soundfonts : list of str or Path, optional
        As for `render`. Without them, songs that any font played are taken as they are.

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
    _set_aside_other_version(folder)
    if not soundfonts and _is_whole(folder, PRESETS[preset]):
        return folder
    settings = {"soundfonts": soundfonts, **PRESETS[preset]}
    return render(folder, workers=workers, progress=progress, **settings)


def is_rendered(preset="student", root=None):
    """Whether `ensure` would find the songs of a preset complete.

    Parameters
    ----------
    preset, root
        As for `ensure`.

    Returns
    -------
    bool
    """
    return _is_whole(data_root(root) / "band" / preset, PRESETS[preset])


def render(
    root,
    train=24,
    test=8,
    seconds=20.0,
    seed=0,
    genres=None,
    workers=None,
    voice="auto",
    instruments="auto",
    speech=None,
    progress=True,
    soundfonts=None,
    **knobs,
):
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
    soundfonts : list of str or Path, optional
        SoundFonts (.sf2, .sf3) by path or installed name, instead of the one that pretty_midi
        brings. One is drawn per song; their hashes say whether a data set is the same.
    **knobs
        See `KNOBS`; one that is not given is drawn for each song.

    Returns
    -------
    Path
        `root`

    Raises
    ------
    SepkitError
        For unknown names, values outside their range, voices that are not installed, too little
        disk space, a damaged SoundFont, or a root that was rendered with other settings.
    """
    from .fonts import collect

    root = place("root", root)
    fonts = collect(soundfonts or ())
    settings = _settings(
        train, test, seconds, seed, genres, voice, instruments, speech, knobs, fonts
    )
    _same_settings(root, settings)
    there = sum(1 for split in ("train", "test") for _ in (root / split).glob("[!.]*"))
    _check_space(root, train + test - there, settings)  # soon: so many songs take long to plan
    plans = _plans(settings, train, test, fonts)
    from .rendering import only_one

    with only_one(root):
        _same_settings(root, settings)
        _render_missing(root, settings, plans, workers, progress, fonts)
        if settings["speech"] is not None:
            _speech(root, settings, workers)
        _write_manifest(root, settings, plans, complete=True)
    return root


def _render_missing(root, settings, plans, workers, progress, fonts):
    from .fonts import check
    from .instruments import sounds
    from .rendering import is_complete, render_all, sweep

    sweep(root)
    jobs = [
        (folder, plan)
        for folder, plan in ((root / p.split / p.name, p) for p in plans)
        if not is_complete(folder)
    ]
    if not jobs:
        return
    check(fonts, sounds())
    need = _check_space(root, len(jobs), settings)
    if progress:
        engines = f"voice {settings['voice']}, instruments {settings['instruments']}"
        _say(f"band: {len(jobs)} songs, {need / 1e9:.2f} GB, {engines} -> {root}")
    _write_manifest(root, settings, plans, complete=False)
    done = itertools.count(1)
    with progress_bar("rendering songs", "songs", shown=progress, keep=True) as update:
        update(0, len(jobs))
        render_all(jobs, workers or os.cpu_count() or 1, lambda: update(next(done), len(jobs)))


def _check_space(root, songs, settings):
    """The bytes that so many songs need, if they are free."""
    need, free = songs * settings["seconds"] * _BYTES_PER_SECOND, free_bytes(root)
    if need > free:
        told = f"{songs} songs need {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        raise SepkitError(f"{root}: {told}; choose another folder or fewer songs")
    return need


def _is_whole(folder, preset):
    """Whether a folder holds a complete preset of this version, in either engine."""
    from .rendering import is_complete

    if not (folder / MANIFEST).is_file():
        return False
    manifest = _read_manifest(folder)
    songs = manifest["songs"]
    return (
        bool(manifest.get("complete"))
        and manifest["settings"].get("version") == VERSION
        and len(songs) >= preset["train"] + preset["test"]
        and all(is_complete(folder / name) for name in songs)
    )


def _set_aside_other_version(folder):
    """Rename a preset's folder whose songs are of another version, and say so."""
    from .rendering import only_one

    def other_version():
        known = (folder / MANIFEST).is_file()
        found = _read_manifest(folder)["settings"].get("version") if known else VERSION
        return None if found == VERSION else found if isinstance(found, int) else "unknown"

    if other_version() is None:
        return
    with only_one(folder.parent, f".{folder.name}.lock"):
        found = other_version()  # another process may have been first
        if found is None:
            return
        aside = folder.with_name(f"{folder.name}-v{found}")
        told = f"{folder}: holds songs of version {found}, not {VERSION}"
        if aside.exists():
            raise SepkitError(f"{told}, and {aside.name} exists already; delete one of the two")
        try:
            folder.rename(aside)
        except OSError as error:
            reason = f"it cannot be renamed ({error.strerror})"
            raise SepkitError(f"{told}, and {reason}; delete it") from None
    _say(f"band: songs of version {found} are now in {aside} (delete it if unused)")


def _settings(train, test, seconds, seed, genres, voice, instruments, speech, knobs, fonts=()):
    """Check every argument; the settings as they stand in the manifest."""
    from . import singers
    from .instruments import choose

    for name, value, kind in (
        ("train", train, _SONGS),
        ("test", test, _SONGS),
        ("seed", seed, SEED),
        ("seconds", seconds, _SECONDS),
    ):
        checked(name, value, kind)
    if train + test == 0:
        raise SepkitError("train=0 and test=0: nothing to render; ask for at least one song")
    knobs = Knobs.of(**knobs)
    if genres and knobs.genre:
        raise SepkitError("genres and genre are both given: give one of them")
    genres = (
        [genres]
        if isinstance(genres, str)
        else list(genres or ([knobs.genre] if knobs.genre else GENRES))
    )
    for genre in genres:
        if genre not in GENRES:
            raise unknown("genre", genre, GENRES)
    engine = _voice_engine(voice)
    if train and engine == "espeak":
        singers.check(knobs.voices)
    return {
        "version": VERSION,
        "seconds": float(seconds),
        "seed": seed,
        "genres": genres,
        "voice": engine,
        "instruments": _chosen("instruments", instruments, choose(instruments, bool(fonts)), "dsp"),
        "knobs": {name: value for name, value in knobs.given().items() if name != "genre"},
        "speech": _speech_settings(speech),
        **_font_settings(fonts),
    }


def _font_settings(fonts):
    """What the manifest says of fonts: nothing, if the bundled one plays."""
    from .fonts import stand_ins
    from .instruments import sounds

    if not fonts:
        return {}
    notices, default = stand_ins(fonts, sounds())
    for notice in notices:
        _say(f"band: {notice}")
    settings = {"soundfonts": [font.entry() for font in fonts]}
    return {**settings, "stand_in": default.entry()} if default else settings


def _voice_engine(voice):
    from .voice import available_engine

    if voice not in ("auto", "espeak", "dsp"):
        raise unknown("voice", voice, ("auto", "espeak", "dsp"))
    found = available_engine()
    if voice == "espeak" and found != "espeak":
        raise SepkitError(
            "voice='espeak' needs espeakng-loader and pyworld: "
            "pip install 'sepkit[band]', or pass voice='dsp'"
        )
    return _chosen("voice", voice, found, "dsp")


def _chosen(what, asked, found, plain):
    # Plain DSP in place of what "auto" looks for is always said, with or without a progress bar.
    if asked == "auto" and found == plain:
        _say(f"band: plain DSP {what}; for the better one: pip install 'sepkit[band]'")
    return found if asked == "auto" else asked


def _same_settings(root, settings):
    """Refuse a root that holds other songs."""
    if not (root / MANIFEST).is_file():
        if any(any((root / split).glob("[!.]*")) for split in ("train", "test")):
            raise SepkitError(f"{root}: holds songs but no {MANIFEST}; choose an empty folder")
        return
    before = _read_manifest(root)["settings"]
    _same_fonts(root / MANIFEST, before.get("soundfonts", []), settings.get("soundfonts", []))
    changed = [
        f"{k} {before.get(k)!r}, now {v!r}"
        for k, v in settings.items()
        if k not in ("speech", "soundfonts") and before.get(k) != v
    ]
    if changed:
        raise SepkitError(
            f"{root}: was rendered with {'; '.join(changed)}; "
            "choose another folder or delete this one"
        )


def _same_fonts(manifest, before, now):
    """Refuse fonts of other content than those that played the songs so far."""

    def said(fonts):
        return ", ".join(f"{f['name']} ({f['sha256'][:12]})" for f in fonts) or "the default font"

    try:
        if [font["sha256"] for font in before] == [font["sha256"] for font in now]:
            return
        told = f"was rendered with {said(before)}, now {said(now)}"
    except (TypeError, KeyError):
        told = "its soundfonts are no list of names and hashes"
    raise SepkitError(
        f"{manifest}: {told}; give the same --soundfont, choose another folder or delete this one"
    )


def _plans(settings, train, test, fonts=()):
    from .song import Plan

    knobs = Knobs.of(**settings["knobs"])
    return [
        Plan(
            split,
            index,
            settings["genres"][index % len(settings["genres"])],
            settings["seconds"],
            settings["seed"],
            settings["voice"],
            settings["instruments"],
            knobs,
            tuple(font.path for font in fonts),
        )
        for split, count in (("train", train), ("test", test))
        for index in range(count)
    ]


def _speech(root, settings, workers):
    from .speech import render_speech

    render_speech(
        root,
        **{
            "seed": settings["seed"],
            "engine": settings["voice"],
            "workers": workers,
            **settings["speech"],
        },
    )


def _speech_settings(speech):
    # Checked before the songs are rendered, not after.
    from .speech import render_speech

    if speech is False:
        return None
    known = set(inspect.signature(render_speech).parameters) - {"root"}
    for name in speech or {}:
        if name not in known:
            raise unknown("speech setting", name, sorted(known))
    return dict(speech or {})


def _read_manifest(root):
    manifest = read_object(root / MANIFEST, settings=dict, songs=dict)
    for name in manifest["songs"]:
        plain_path(name, "song", root / MANIFEST)
    return manifest


def _write_manifest(root, settings, plans, complete):
    from .. import __version__

    before = _read_manifest(root)["songs"] if (root / MANIFEST).is_file() else {}
    songs = {name: facts for name, facts in before.items() if (root / name).is_dir()}
    for plan in plans if complete else []:
        songs[f"{plan.split}/{plan.name}"] = read_json(root / plan.split / plan.name / "song.json")
    write_json(
        root / MANIFEST,
        {"sepkit": __version__, "complete": complete, "settings": settings, "songs": songs},
    )


def _say(text):
    print(text, file=sys.stderr)
