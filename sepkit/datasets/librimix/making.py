"""Making mixtures in LibriMix's layout: only what is asked for, resumable, the need said first.

>>> make_librimix("librimix", types=["mix_both"], rate="16k", mode="min")   # doctest: +SKIP
"""

import csv
import itertools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import soundfile

from ... import audio
from ...band.rendering import only_one, render_all
from ...errors import SepkitError, first_few, naming, unknown
from ...files import atomic_path, commit, free_bytes, read_object, size_text, write_json
from ...validation import SEED, WORKERS, Number, checked, place
from .layout import MODES, RATES, TYPES, parts_of
from .mixing import NOISE_LEVELS, SOURCE_RATE, SPEECH_LEVELS, mix
from .sources import BandNoise, BandSpeech, LibriSpeech, Noise, Source, Speech, WhamNoise, generator

MANIFEST = "librimix.json"
VERSION = 1  # of the mixtures that a seed gives; goes up whenever they change
SPEAKERS = (2, 3)
_COUNT = Number(1, 10**6)
#: Of a WAV file, in bytes; and the unit in which file systems give out space.
_HEADER, _BLOCK = 44, 4096


@dataclass(frozen=True)
class Mixture:
    """What is mixed: sources, and their loudness (LUFS) in the same order, the noise last."""

    name: str
    voices: tuple[Source, ...]
    noise: Source | None
    levels: tuple[float, ...]

    @property
    def file(self) -> str:
        """Of the mixture, and of its parts in their folders."""
        return f"{self.name}.wav"


@dataclass(frozen=True)
class Request:
    """What is made of every mixture, and from what."""

    speakers: int
    types: tuple[str, ...]
    rate: str
    mode: str
    seed: int
    speech: Speech
    noise: Noise | None

    @property
    def folder(self) -> Path:
        """Where it lies below the root. Only LibriSpeech with WHAM! may be called LibriMix."""
        recorded = isinstance(self.speech, LibriSpeech) and not isinstance(self.noise, BandNoise)
        name = f"{'Libri' if recorded else 'Band'}{self.speakers}Mix"
        return Path(name) / f"wav{self.rate}" / self.mode

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of a subset: parts first, the mixtures after them."""
        needed = {part for kind in self.types for part in parts_of(kind, self.speakers)}
        parts = [part for part in parts_of("mix_both", self.speakers) if part in needed]
        return (*parts, *self.types)

    @property
    def settings(self) -> dict:
        """What all mixtures of one folder share, for the manifest."""
        return {
            "version": VERSION,
            "speakers": self.speakers,
            "seed": self.seed,
            "speech": self.speech.description,
            "noise": self.noise.description if self.noise else None,
        }

    def mixtures(self, subset: str, count: int) -> list[Mixture]:
        """The first mixtures of a subset, fewer if there are no more; a larger count adds some."""
        groups = self.speech.groups(subset, self.speakers, self.seed)
        voices = list(itertools.islice(groups, count))
        count = len(voices)
        noises: Sequence[Source | None] = [None] * count
        if self.noise:
            noises = self.noise.draw(subset, count, self.seed)
        return [
            Mixture(
                self.speech.label(group, number),
                group,
                noise,
                _levels(generator(self.seed, subset, 2, number), self.speakers, noise),
            )
            for number, (group, noise) in enumerate(zip(voices, noises))
        ]


def _levels(rng, speakers, noise):
    levels = [float(rng.uniform(*SPEECH_LEVELS)) for _ in range(speakers)]
    return (*levels, float(rng.uniform(*NOISE_LEVELS))) if noise else tuple(levels)


def make_librimix(
    root: str | Path,
    types: Sequence[str] = ("mix_both",),
    rate: str = "16k",
    mode: str = "min",
    speakers: int = 2,
    subsets: Sequence[str] | None = None,
    mixtures: int | None = None,
    librispeech: str | Path | None = None,
    wham: str | Path | None = None,
    noises: Sequence[str] | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    notice: Callable[[str], None] = print,
) -> Path:
    """Make speech mixtures as LibriMix does: these types, this rate and this mode, nothing else.

    All of LibriMix for two speakers takes 430 GB, since it holds three types at two rates in two
    modes. Here what is needed is said first, and nothing is written if it is not free. Finished
    mixtures are kept: an interrupted call goes on where it stopped, and more mixtures, subsets or
    types only add files.

    Parameters
    ----------
    root : str or Path
        The mixtures land in ``root/Libri2Mix/wav16k/min/<subset>/``, those in which anything was
        rendered in ``root/Band2Mix/...``; ``librimix.json`` there says from what.
    types : list of {"mix_both", "mix_clean", "mix_single"}
        Speakers and noise, speakers only, the first speaker and noise. Parts that no type asked
        for needs are not written.
    rate : {"16k", "8k"}
    mode : {"min", "max"}
        A mixture ends with its shortest or with its longest utterance.
    speakers : {2, 3}
    subsets : list of str, optional
        Of ``train-360``, ``train-100``, ``dev`` and ``test``, by default those that LibriSpeech's
        folder has; of ``train``, ``dev`` and ``test`` for the band's speakers.
    mixtures : int, optional
        Of each subset. By default LibriMix's numbers (every utterance once to train on, 3000 in
        dev and in test), or 100, 20 and 20 for the band's speakers.
    librispeech : str or Path, optional
        The folder that holds ``LibriSpeech/``; without it the band's speakers are rendered.
    wham : str or Path, optional
        The folder ``wham_noise``; without it noises are rendered.
    noises : list of str, optional
        Kinds of rendered noise (`sepkit.band.noises.KINDS`), which take turns.
    seed : int
        Same seed and sources, same mixtures, whatever the number of workers.
    workers : int, optional
        Processes; by default one for every 40 mixtures, at most the number of cores.
    progress : callable, optional
        Called as ``progress(done, total)`` after every mixture.
    notice : callable, optional
        Takes one line of text.

    Returns
    -------
    Path
        ``root/Libri2Mix/wav16k/min`` or the like.

    Raises
    ------
    SepkitError
        For unknown types, rates, modes, subsets or noises, values out of range, missing
        recordings, too little disk space, or a folder that was made with other settings.

    Notes
    -----
    Cosentino et al. 2020 (arXiv:2005.11262): loudness between -33 and -25 LUFS for each speaker
    and between -38 and -30 for the noise, peaks up to 0.9. Which utterances meet is drawn anew, so
    that not even LibriSpeech with WHAM! gives the very mixtures of LibriMix.
    """
    request = _request(
        types, rate, mode, speakers, librispeech, wham, noises, checked("seed", seed, SEED)
    )
    if mixtures is not None:
        checked("mixtures", mixtures, _COUNT)
    if workers is not None:
        checked("workers", workers, WORKERS)
    target = place("root", root) / request.folder
    plan = {
        subset: _planned(request, target, subset, mixtures)
        for subset in _subsets(request.speech, subsets)
    }
    _same_settings(target, request, plan)
    _check_space(target, request, plan, notice)
    with only_one(target, ".librimix.lock"):
        _same_settings(target, request, plan)
        jobs = _missing(target, request, plan)
        _write_manifest(target, request, plan)
        done = itertools.count(1)
        render_all(
            jobs,
            workers or min(os.cpu_count() or 1, 1 + len(jobs) // 40),
            lambda: progress(next(done), len(jobs)),
            make_mixture,
        )
    return target


def _request(types, rate, mode, speakers, librispeech, wham, noises, seed):
    from ...band.instruments import choose
    from ...band.noises import KINDS
    from ...band.voice import available_engine

    types = tuple(dict.fromkeys(types))
    for what, given, known in (
        ("type", types, TYPES),
        ("rate", (rate,), RATES),
        ("mode", (mode,), MODES),
        ("number of speakers", (speakers,), SPEAKERS),
        ("noise", noises or (), KINDS),
    ):
        for one in given:
            if one not in known:
                raise unknown(what, one, known)
    if not types:
        raise SepkitError(f"no type was asked for: choose from {', '.join(TYPES)}")
    if wham and noises:
        raise SepkitError("wham and noises are both given: give one of them")
    engine, instruments = available_engine(), choose()
    speech = LibriSpeech(place("librispeech", librispeech)) if librispeech else BandSpeech(engine)
    noise: Noise | None = BandNoise(noises or KINDS, engine, instruments)
    if wham:
        noise = WhamNoise(place("wham", wham))
    elif librispeech and types == ("mix_clean",):
        noise = None
    return Request(speakers, types, rate, mode, seed, speech, noise)


def _subsets(speech, asked):
    for name in asked or ():
        if name not in speech.subsets:
            raise unknown(f"subset of {speech.description['source']}", name, speech.subsets)
    return tuple(dict.fromkeys(asked or speech.subsets))


def _planned(request, target, subset, asked):
    count = asked or request.speech.default_count(subset, request.speakers)
    found = request.mixtures(subset, max(count, _made_before(target, subset)))
    if len(found) < (asked or 1):
        raise SepkitError(
            f"{subset}: {asked or 'some'} mixtures were asked for, but its utterances make up "
            f"{len(found)} of {request.speakers} different speakers; ask for fewer"
        )
    return found


def _made_before(target, subset):
    """How many mixtures of a subset an earlier call has planned."""
    if not (target / MANIFEST).is_file():
        return 0
    known = read_object(target / MANIFEST, subsets=dict)["subsets"].get(subset, {})
    count = known.get("mixtures", 0) if isinstance(known, dict) else 0
    return checked(f"{target / MANIFEST}: mixtures", count, Number(0, _COUNT.high))


def _same_settings(target, request, plan):
    """Refuse a folder that holds mixtures of other settings or sources."""
    if not (target / MANIFEST).is_file():
        if any(target.glob("[!.]*")):
            raise SepkitError(f"{target}: holds files but no {MANIFEST}; choose another root")
        return
    before = read_object(target / MANIFEST, settings=dict, subsets=dict)
    changed = [
        f"{key} {before['settings'].get(key)!r}, now {value!r}"
        for key, value in request.settings.items()
        if before["settings"].get(key) != value
    ]
    for subset, now in _identities(request, plan).items():
        known = before["subsets"].get(subset)
        if known and not (isinstance(known, dict) and now.items() <= known.items()):
            changed.append(f"other recordings of {subset}")
    if changed:
        raise SepkitError(
            f"{target}: was made with {'; '.join(changed)}; choose another root or delete this one"
        )


def _identities(request, plan):
    return {
        subset: {
            "speech": request.speech.identity(subset),
            "noise": request.noise.identity(subset) if request.noise else "",
        }
        for subset in plan
    }


def _missing(target, request, plan):
    """The arguments of `make_mixture` for mixtures of which a file is not there."""
    jobs = []
    for subset, mixtures in plan.items():
        there = {folder: _names(target / subset / folder) for folder in request.folders}
        for mixture in mixtures:
            wanted = [name for name in request.folders if mixture.file not in there[name]]
            if wanted:
                files = [target / subset / name / mixture.file for name in wanted]
                jobs.append((mixture, tuple(files), RATES[request.rate], request.mode))
    return jobs


def _names(folder):
    return set(os.listdir(folder)) if folder.is_dir() else set()


def bytes_needed(mixture: Mixture, files: Sequence[Path], rate: int, mode: str) -> int:
    """At most so many for some files of a mixture, in whole blocks of the disk."""
    lengths = [voice.samples for voice in mixture.voices]
    longest = min(lengths) if mode == "min" else max(lengths)
    frames = audio.resampled_length(longest, SOURCE_RATE, rate)
    return len(files) * math.ceil((_HEADER + 2 * frames) / _BLOCK) * _BLOCK


def _check_space(target, request, plan, notice):
    """Say what is made, from what, and what it takes; stop where that is not free."""
    jobs = _missing(target, request, plan)
    need, free = sum(bytes_needed(*job) for job in jobs), free_bytes(target)
    total = sum(map(len, plan.values()))
    noise = request.noise.description if request.noise else {"source": "none"}
    kinds = f" {', '.join(noise['kinds'])}" if "kinds" in noise else ""
    notice(
        f"librimix: speech of {request.speech.description['source']}, noise: {noise['source']}"
        f"{kinds}; {total} mixtures ({first_few(plan, 4)}), each {', '.join(request.folders)}"
    )
    notice(
        f"librimix: {len(jobs)} of them are to be made; they need up to {size_text(need)}, "
        f"{size_text(free)} are free at {target}"
    )
    if need > free:
        raise SepkitError(
            f"{target}: up to {size_text(need)} are needed, {size_text(free)} are free; nothing "
            "was written: ask for fewer types or mixtures, for 8k, or choose another root"
        )


def make_mixture(mixture: Mixture, files: Sequence[Path], rate: int, mode: str) -> None:
    """Write files of a mixture, named by their folders; each appears only when it is whole."""
    with naming(mixture.name):
        voices = [voice.read(voice.samples) for voice in mixture.voices]
        noise = mixture.noise.read(max(map(len, voices))) if mixture.noise else None
        waves = mix(voices, noise, mixture.levels, rate, mode)
    for path in files:
        with atomic_path(path) as temporary:
            try:
                soundfile.write(temporary, waves[path.parent.name], rate, subtype="PCM_16")
            except soundfile.LibsndfileError as error:
                raise SepkitError(
                    f"{path}: cannot be written ({error}); is the disk full? Run again, finished "
                    "mixtures are kept"
                ) from None


def _write_manifest(target, request, plan):
    """The manifest, and for every subset a table of what is mixed, and how loud."""
    before = (
        read_object(target / MANIFEST, subsets=dict, types=list)
        if (target / MANIFEST).is_file()
        else {"subsets": {}, "types": []}
    )
    identities = _identities(request, plan)
    subsets = {
        subset: {"mixtures": len(mixtures), **identities[subset]}
        for subset, mixtures in plan.items()
    }
    packages = ("sepkit", "numpy", "scipy", "soundfile", "soxr")
    facts = {
        "settings": request.settings,
        "types": [kind for kind in TYPES if kind in (*before["types"], *request.types)],
        "subsets": {**before["subsets"], **subsets},
        "made_with": {"commit": commit(), **{name: metadata.version(name) for name in packages}},
    }
    write_json(target / MANIFEST, facts)
    for subset, mixtures in plan.items():
        _write_table(target / "metadata" / f"{subset}.csv", request, mixtures)


def _write_table(path, request, mixtures):
    parts = [f"s{number + 1}" for number in range(request.speakers)]
    parts += ["noise"] if request.noise else []
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["mixture", *parts, *(f"{part}_lufs" for part in parts)])
        for mixture in mixtures:
            sources = [*mixture.voices, *([mixture.noise] if mixture.noise else [])]
            levels = [f"{level:.2f}" for level in mixture.levels]
            table.writerow([mixture.name, *(source.name for source in sources), *levels])
