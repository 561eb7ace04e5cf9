"""Running an experiment: every arm is trained and scored, with several seeds.

``sepkit experiment NAME`` trains and scores every arm of an experiment, one run for
each seed. Called again after a stop, it resumes the arm and the step where it
was; arms whose songs have changed since are run again, the others are kept. The Scores carry
what was trained, on what, for how many steps and hours;
`stored` reads those that come with sepkit. Chapters 07 and 12.
"""

import csv
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from ... import models, separation, training
from ...band import VERSION
from ...band.rendering import only_one
from ...datasets import data_set_name, open_tracks, real_mixes
from ...datasets.loader import decoded
from ...datasets.speech import Speech, open_speech
from ...device import resolve_device
from ...errors import SepkitError
from ...files import digest, kit, provenance
from ...metrics import MetricCard, Score, load_scores, save_scores
from ...runtime.cluster import run_jobs
from ...runtime.shares import dealt
from ...training import Recipe
from ...training.description import OtherSongs
from ...training.pretraining import pretrain
from ...training.songs import identities
from .design import Arm, Design
from .excerpts import loudest, thirds
from .scores import derived, outcome, refuse_mixed_data
from .scoring import TARGET, data_set_label, of_songs

#: Passes over the excerpt per epoch where an excerpt is learnt by heart: validating it takes as
#: long as training on it, so an epoch holds several.
REPEATS = 14
NATURAL = (
    "sepkit data band --root natural --train 28 --test 1 --seconds 20 --knob voices=natural "
    "(needs flite)"
)
SPEED = MetricCard(
    "best_steps",
    "training steps up to the best validation loss",
    aggregation="one training; all its steps, where none was better than what it began with",
)


def run(
    name: str,
    design: Design,
    data: str = "band",
    preset: str | None = None,
    seeds: int = 8,
    out: str | Path = "runs/experiments",
    profile: str = "student",
    device: str = "auto",
    root: str | Path | None = None,
    augmented: str | None = None,
    natural: str | None = None,
    speech: str | None = None,
    notice: Callable[[str], object] = print,
    share: str | None = None,
    scheduler: str | None = None,
) -> list[Score]:
    """Train and score all arms of an experiment; again, to go on where it stopped.

    Parameters
    ----------
    name : str
        Of the experiment.
    design : Design
    data : str
        See `sepkit.datasets.open_tracks`.
    preset : str, optional
        Size of the band; by default the design's.
    seeds : int
        Trainings of each arm, with seeds 0, 1, ... `Experiment.seeds` says how many it should be.
    out : str or Path
        Holds ``NAME/`` with a folder for each training, and the result, ``NAME.json``.
    profile, device : str
    root : str or Path, optional
        Data root.
    augmented : str, optional
        The augmented data set (``sepkit data augment``), for designs that ask for it.
    natural : str, optional
        A data set with natural voices, likewise: ``sepkit data band --knob voices=natural``.
    speech : str, optional
        What `sepkit.datasets.speech.open_speech` opens, for designs with speech remixes; by
        default the band's, on the band.
    notice : callable
        Called with one line of text per training.
    share : str, optional
        ``"2/8"``: only these trainings, for one of several calls with the same `out`; a last call
        without it takes their Scores and writes the result.
    scheduler : str, optional
        The address of a Dask scheduler whose workers train; `out` must lie where all see it.

    Returns
    -------
    list of Score

    Raises
    ------
    SepkitError
        As training and evaluation raise; if an arm needs an augmented data set or speech that was
        not given; and if kept Scores are of another version of the band.
    """
    runner = _Runner(
        name=name,
        design=design,
        data=data,
        preset=preset or design.preset,
        seeds=seeds,
        out=Path(out) / name,
        profile=profile,
        device=device,
        root=root,
        augmented=augmented,
        natural=natural,
        speech=speech,
    )
    arms = (*([design.init] if design.init else []), *design.arms)
    # All arms of a seed first: a stopped experiment is short of seeds, not of arms.
    tasks = dealt([(arm, seed) for seed in range(seeds) for arm in arms], share)
    found = {}
    for index, (rows, told) in _finished(runner, tasks, scheduler):
        found[index], (arm, seed) = rows, tasks[index]
        notice(f"{arm.name}, seed {seed}: {told}; {len(tasks) - len(found)} to go")
    scores = [score for index in sorted(found) for score in found[index]]
    if share is None:
        scores += derived(design, scores)
        file = Path(out) / f"{name}.json"
        refuse_mixed_data(file, scores)
        about = {"experiment": name, "seeds": seeds, "arms": [arm.name for arm in arms]}
        save_scores(file, scores, extra=about, indent=None)
    return scores


def _finished(runner, tasks, scheduler):
    """(index, (scores, outcome)) of every training: here one by one, or on a cluster."""
    if not scheduler:
        resolve_device(runner.device)
        yield from enumerate(runner.scores(*task) for task in tasks)
        return
    calls = [partial(runner.scores, *task) for task in tasks]
    gpu = runner.device.startswith("cuda")
    yield from run_jobs(calls, scheduler, kit, gpu)


@dataclass(frozen=True)
class _Training:
    """One arm with one seed: what it trains on, and what it begins with.

    `songs` are tracks by split, `about` is all that decides the scores.
    """

    arm: Arm
    seed: int
    recipe: Recipe
    songs: dict
    speech: Speech | None
    init: "_Training | None"
    folder: Path
    about: dict


@dataclass
class _Runner:
    """Trains and scores the arms of one experiment; what they share is opened once.

    The fields are the parameters of `run`, `out` the folder of the trainings.
    """

    name: str
    design: Design
    data: str
    preset: str
    seeds: int
    out: Path
    profile: str
    device: str
    root: str | Path | None
    augmented: str | None
    natural: str | None
    speech: str | None
    _opened: dict = field(default_factory=dict)
    _decoded: dict = field(default_factory=dict)

    def scores(self, arm, seed):
        """The Scores of one training, and in words how they came about."""
        # Another call on this folder waits here, and finds the arm done.
        with only_one(self.out.parent, f".{self.name}-{slug(arm.name)}-{seed}.lock"):
            return self._scores(arm, seed)

    def _scores(self, arm, seed):
        planned = self._plan(arm, seed)
        file = planned.folder / f"scores-{digest(planned.about)[:16]}.json"
        if file.is_file():
            return load_scores(file), "kept"
        best = self._trained(planned)
        header, log = models.read_header(best)["extra"], _log(best.parent)
        network, last = models.load(best), log[-1]
        clock = time.perf_counter()
        facts = {
            "steps": int(last["step"]),
            "best_step": header["step"],
            "best_seconds": next(r["seconds"] for r in log if int(r["step"]) == header["step"]),
            "hours": round(last["seconds"] / 3600, 4),
            "train_songs": len(set(_names(planned.songs["train"]))) or 1,  # or an excerpt of one
            "parameters": sum(p.numel() for p in network.parameters()),
            "valid_loss": header["valid_loss"],
            "audio": digest(planned.about["audio"]),
        }
        scores = self._score(planned, network, facts)
        save_scores(file, scores, extra={"about": planned.about})
        return scores, outcome(scores, last["seconds"], time.perf_counter() - clock)

    def _plan(self, arm, seed):
        """All about one training, without a song being decoded."""
        recipe = self.design.recipe.but(**arm.recipe, seed=seed)
        if recipe.cache == "memory":  # `held` decodes them
            recipe = recipe.but(cache=None)
        network = self._network(arm, seed)
        speech = self.voices(arm, network) if recipe.speech_prob else None
        songs = self._songs(arm, network)
        first = self.design.init
        init = self._plan(first, seed) if first and arm is not first else None
        number = f"{arm.excerpt[0]}-" if arm.excerpt else ""
        return _Training(
            arm,
            seed,
            recipe,
            songs,
            speech,
            init,
            self.out / f"{slug(arm.name)}-{number}{seed}",
            self._about(arm, network, recipe, songs, speech, init),
        )

    def tracks(self, split, rate, channels, data=None):
        """The songs of a split at a sample rate and number of channels, opened once."""
        key = (split, rate, channels, data)
        if key not in self._opened:
            preset = self.preset if data is None and self.data == "band" else None
            self._opened[key] = open_tracks(
                data or self.data,
                split,
                self.root,
                sample_rate=rate,
                channels=channels,
                preset=preset,
            )
        return self._opened[key]

    def held(self, tracks):
        """Tracks to train on: decoded once, where the recipe wants them in memory."""
        if self.design.recipe.cache != "memory":
            return tracks
        missing = [track for track in tracks if id(track) not in self._decoded]
        self._decoded |= zip(map(id, missing), decoded(missing))
        return [self._decoded[id(track)] for track in tracks]

    def voices(self, arm, model):
        """The training speech at the network's sample rate, opened once."""
        source = self.speech or ("band" if self.data == "band" else None)
        if source is None:
            raise SepkitError(
                f"{self.name}: the arm {arm.name!r} needs speech; give --speech band, "
                "or a folder of speech"
            )
        key = ("speech", model.sample_rate)
        if key not in self._opened:
            self._opened[key] = open_speech(
                source, "train", model.sample_rate, self.root, self.preset
            )
        return self._opened[key]

    def _about(self, arm, network, recipe, songs, speech, init):
        """All that decides an arm's scores."""
        audio = {part: identities(tracks) for part, tracks in songs.items()}
        return {
            "model": network.name,
            "settings": network.settings,
            "recipe": _without_runtime(recipe),
            "metrics": list(self.design.metrics),
            "test": _names(songs["test"]),
            "score rate": arm.score_rate,
            "excerpt": arm.excerpt,
            "data": data_set_name(self.data),
            "audio": {**audio, "speech": speech and speech.identity()},
            **({"init": digest(init.about)} if init else {}),
            **({"real": identities(real)} if (real := self._real(network)) else {}),
            **({"pretraining": self._pretraining(network)} if arm.pretrained else {}),
        }

    def _pretraining(self, network):
        """All that decides what a network is before its training with stems."""
        mixtures = self.tracks("train", network.sample_rate, network.channels)
        return {**asdict(self.design.pretraining), "songs": identities(mixtures)}

    def _network(self, arm, seed):
        return self.design.network(arm, seed)

    def _trained(self, planned):
        """The best checkpoint: of the arm's folder; of one beside it, if that is on other audio."""
        train, valid, _ = self._examples(planned)
        # Where the arm to begin with is kept, this finds its training finished.
        init = self._trained(planned.init) if planned.init else self._pretrained(planned)

        def trained_in(folder):
            return training.train(
                self._network(planned.arm, planned.seed),
                train,
                valid,
                folder,
                planned.recipe,
                self.device,
                TARGET,
                progress=False,
                speech=planned.speech,
                init=init,
            )

        try:
            return trained_in(planned.folder)
        except OtherSongs:
            speech = planned.speech and planned.speech.identity()
            audio = digest(identities(train), identities(valid), speech)
            return trained_in(planned.folder.with_name(f"{planned.folder.name}-{audio[:8]}"))

    def _pretrained(self, planned):
        """The checkpoint with which a pre-trained arm begins; None for the others."""
        if not planned.arm.pretrained:
            return None
        parts = digest([planned.about[part] for part in ("model", "settings", "pretraining")])
        path = self.out / f"pretraining-{parts[:8]}-{planned.seed}.safetensors"
        if not path.is_file():
            network = self._network(planned.arm, planned.seed)
            tracks = self.held(self.tracks("train", network.sample_rate, network.channels))
            mixtures = [track.mixture() for track in tracks]
            how = self.design.pretraining
            pretrain(network, mixtures, path, how, planned.seed, self.device)
        return path

    def _songs(self, arm, network):
        """What an arm depends on: tracks by split; of an excerpt the song that it is cut from."""
        tracks = partial(self.tracks, rate=network.sample_rate, channels=network.channels)
        test = tracks("test")
        if arm.excerpt:
            return {"train": [], "valid": [], "test": [test[arm.excerpt[0]]]}
        train = list(tracks("train", data=self._other_data(arm)))
        valid = tracks("valid")
        if arm.songs is not None:
            if arm.songs > len(train):
                raise SepkitError(
                    f"{self.name}: the arm {arm.name!r} needs {arm.songs} training songs; "
                    f"{self.data} has {len(train)}"
                )
            train = train[: arm.songs]
        train = train + list(valid) * arm.with_valid
        return {"train": train, "valid": list(valid), "test": test}

    def _other_data(self, arm):
        """What an arm trains on instead of the experiment's data set, or None."""
        for wanted, folder, option, command in (
            (arm.augmented, self.augmented, "--augmented", "sepkit data augment"),
            (arm.natural, self.natural, "--natural", NATURAL),
        ):
            if wanted and folder is None:
                raise SepkitError(
                    f"{self.name}: the arm {arm.name!r} needs {option} FOLDER; "
                    f"write it with: {command}"
                )
            if wanted:
                return folder
        return None

    def _real(self, network):
        """The real mixtures as the network takes them; none where they are not wanted or here."""
        if not self.design.real or not real_mixes.available():
            return []
        key = ("real", network.sample_rate, network.channels)
        if key not in self._opened:
            self._opened[key] = real_mixes.real_mixes(network.sample_rate, network.channels)
        return self._opened[key]

    def _examples(self, planned):
        """Tracks to train, validate and test with."""
        songs, excerpt = planned.songs, planned.arm.excerpt
        if excerpt:
            parts = thirds(loudest(songs["test"][0], excerpt[1], TARGET))
            return parts * REPEATS, parts, parts
        return self.held(songs["train"]), self.held(songs["valid"]), songs["test"]

    def _score(self, planned, network, facts):
        """Score a trained network on the test songs."""
        arm = planned.arm
        test = self._examples(planned)[2]
        rate = arm.score_rate or network.sample_rate
        if rate != network.sample_rate:
            test = self.tracks("test", rate, network.channels)
        separator = separation.ModelSeparator(network, device=self.device)
        own = self._provenance(arm, planned.seed, facts)
        measure = partial(of_songs, separator, names=self.design.metrics, arm=arm.name)
        dataset = data_set_label(data_set_name(self.data), rate, network.channels)
        scores = measure(test, rate, dataset=dataset, provenance=own)
        if real := self._real(network):
            rate = network.sample_rate
            dataset = data_set_label("real mixes", rate, network.channels)
            about = {**own, "test songs": real_mixes.RULE}
            scores += measure(real, rate, dataset=dataset, provenance=about)
        if self.design.speed:  # no step is the best where none was better than at first
            steps = float(facts["best_step"] or facts["steps"])
            own = {**own, "trainings": 1, "derived": "steps of a training"}
            name = f"seed {planned.seed}"
            scores.append(Score(name, TARGET, "best_steps", steps, arm.name, dataset, SPEED, own))
        return scores

    def _provenance(self, arm, seed, facts):
        if self.data == "band":
            facts = {**facts, "preset": self.preset, "band": VERSION}
        if arm.excerpt:
            facts = {**facts, "excerpt": f"{arm.excerpt[1]:g} s"}
        given = {"augmented": self.augmented, "natural": self.natural, "speech": self.speech}
        # by their names alone: a machine's paths do not belong into a Score
        others = "".join(f" --{option} {Path(path).name}" for option, path in given.items() if path)
        return provenance(
            f"sepkit experiment {self.name} --profile {self.profile} "
            f"--data {data_set_name(self.data).partition(',')[0]} --seeds {self.seeds}{others}",
            device=str(resolve_device(self.device)),
            seed=seed,
            profile=self.profile,
            experiment=self.name,
            **facts,
        )


def _without_runtime(recipe):
    """The fields of a recipe on which the result depends."""
    free = ("workers", "cache", "save_minutes")
    return {key: value for key, value in recipe.flat().items() if key not in free}


def _names(tracks):
    return [track.name for track in tracks]


def slug(name: str) -> str:
    """An arm's name as that of a folder."""
    return "".join(c if c.isalnum() or c in ".-" else "-" for c in name.lower()).strip("-")


def _log(folder):
    """The rows of a training's ``log.csv``, as numbers."""
    with open(folder / "log.csv", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
