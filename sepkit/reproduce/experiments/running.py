"""Experiments: trainings that differ in one thing, with equal steps and several seeds.

``sepkit experiment NAME`` trains and scores every arm of an experiment, one run for
each seed. Stopped and called again, it goes on with the arm and the step where it
was; arms whose songs have changed since are run again, the others are kept. The Scores carry
what was trained, on what, for how many steps and hours;
`stored` reads those that come with sepkit. Chapters 07 and 11.
"""

import statistics
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from ... import metrics, models, separation, training
from ...band.rendering import only_one
from ...datasets import MemoryTrack, data_set_name, open_tracks
from ...datasets.loader import decoded
from ...device import resolve_device
from ...errors import SepkitError
from ...files import digest, provenance
from ...metrics import Score, load_scores, save_scores
from ...training import Recipe
from ...training.songs import OtherSongs, identities

TARGET = "vocals"
#: How often an epoch goes through an excerpt that is learnt by heart; validating it takes as long as learning it.
HEARD = 14


@dataclass(frozen=True)
class Arm:
    """One of the trainings that an experiment compares.

    Attributes
    ----------
    name : str
        The separator's name in the Scores and tables.
    model : str, optional
        Another network than the experiment's.
    settings, recipe : dict
        Changes to the experiment's network and recipe.
    songs : int, optional
        Train with the first so many songs; by default with all.
    with_valid : bool
        The validation songs are trained on too (and still choose the best epoch).
    augmented : bool
        Train on the statically augmented data set.
    excerpt : (int, float), optional
        Train, validate and test on that many seconds of test song number so-and-so, as three
        examples of half that length, each overlapping the next by half.
    score_rate : int, optional
        Score at this sample rate instead of the network's.
    """

    name: str
    model: str | None = None
    settings: dict = field(default_factory=dict)
    recipe: dict = field(default_factory=dict)
    songs: int | None = None
    with_valid: bool = False
    augmented: bool = False
    excerpt: tuple | None = None
    score_rate: int | None = None


@dataclass(frozen=True)
class Plan:
    """An experiment in one profile: a network, a recipe, and the arms that change them.

    `derived` maps the name of a further separator to a function of {arm: {(track, metric): value}},
    which returns {(track, metric): value}: differences of differences, spreads.
    """

    model: str
    settings: dict
    recipe: Recipe
    arms: tuple
    metrics: tuple = ("usdr", "si_sdr", "csdr")
    derived: dict = field(default_factory=dict)
    preset: str = "experiments"


def run(
    name,
    plan,
    data="band",
    preset=None,
    seeds=3,
    out="runs/experiments",
    profile="student",
    device="auto",
    root=None,
    augmented=None,
    speech=None,
    notice=print,
):
    """Train and score all arms of an experiment; again, to go on where it stopped.

    Parameters
    ----------
    name : str
        Of the experiment.
    plan : Plan
    data : str
        See `sepkit.datasets.open_tracks`.
    preset : str, optional
        Size of the band; by default the plan's.
    seeds : int
        Trainings of each arm, with seeds 0, 1, ...
    out : str or Path
        Holds ``NAME/`` with a folder for each training, and the result, ``NAME.json``.
    profile, device : str
    root : str or Path, optional
        Data root.
    augmented : str, optional
        The augmented data set (``sepkit data augment``), for plans that ask for it.
    speech : str, optional
        What `sepkit.datasets.speech.open_speech` opens, for plans with speech remixes; by
        default the band's, on the band.
    notice : callable
        Told what is done, a line each.

    Returns
    -------
    list of Score

    Raises
    ------
    SepkitError
        As training and evaluation raise; and if an arm needs an augmented data set or speech that was not given.
    """
    laboratory = _Laboratory(
        name,
        plan,
        data,
        preset or plan.preset,
        seeds,
        Path(out) / name,
        profile,
        device,
        root,
        augmented,
        speech,
    )
    scores, left = [], len(plan.arms) * seeds
    for seed in range(
        seeds
    ):  # all arms of a seed first: a stopped experiment is short of seeds, not of arms
        for arm in plan.arms:
            with only_one(
                out, f".{name}-{_slug(arm.name)}-{seed}.lock"
            ):  # another call waits, and finds it done
                found, told = laboratory.scores(arm, seed)
            scores, left = scores + found, left - 1
            notice(f"{arm.name}, seed {seed}: {told}; {left} to go")
    scores += _derived(plan, scores)
    about = {"experiment": name, "seeds": seeds, "arms": [arm.name for arm in plan.arms]}
    save_scores(Path(out) / f"{name}.json", scores, extra=about, indent=None)
    return scores


class _Laboratory:
    """What the trainings of an experiment share."""

    def __init__(
        self, name, plan, data, preset, seeds, out, profile, device, root, augmented, speech
    ):
        self.name, self.plan, self.data, self.preset, self.seeds, self.out = (
            name,
            plan,
            data,
            preset,
            seeds,
            out,
        )
        self.profile, self.device, self.root, self.augmented, self.speech = (
            profile,
            resolve_device(device),
            root,
            augmented,
            speech,
        )
        self._opened, self._decoded = {}, {}

    def tracks(self, split, model, data=None):
        """The songs of a split at the network's sample rate and channels, opened once."""
        key = (split, model.sample_rate, model.channels, data)
        if key not in self._opened:
            preset = self.preset if data is None and self.data == "band" else None
            self._opened[key] = open_tracks(
                data or self.data,
                split,
                self.root,
                sample_rate=model.sample_rate,
                channels=model.channels,
                preset=preset,
            )
        return self._opened[key]

    def held(self, tracks):
        """Tracks to train on: decoded once, where the recipe wants them in memory."""
        if self.plan.recipe.cache != "memory":
            return tracks
        missing = [track for track in tracks if id(track) not in self._decoded]
        self._decoded |= zip(map(id, missing), decoded(missing))
        return [self._decoded[id(track)] for track in tracks]

    def voices(self, arm, model):
        """The training speech at the network's sample rate, opened once."""
        source = self.speech or ("band" if self.data == "band" else None)
        if source is None:
            raise SepkitError(
                f"{self.name}: the arm {arm.name!r} needs speech; give --speech band, or a folder of speech"
            )
        key = ("speech", model.sample_rate)
        if key not in self._opened:
            from ...datasets.speech import open_speech

            self._opened[key] = open_speech(
                source, "train", model.sample_rate, self.root, self.preset
            )
        return self._opened[key]

    def scores(self, arm, seed):
        """The Scores of one training, and in words how they came about."""
        number = f"{arm.excerpt[0]}-" if arm.excerpt else ""
        folder = self.out / f"{_slug(arm.name)}-{number}{seed}"
        recipe = self.plan.recipe.but(**arm.recipe, seed=seed)
        in_memory = recipe.cache == "memory"  # `held` has decoded them
        recipe = recipe.but(cache=None if in_memory else recipe.cache)
        network = self._network(arm, seed)
        voices = self.voices(arm, network) if recipe.speech_prob else None
        songs = self._songs(arm, network)
        about = self._about(arm, network, recipe, songs, voices)
        file = folder / f"scores-{digest(about)[:16]}.json"
        if file.is_file():
            return load_scores(file), "kept"
        train, valid, test = self._examples(arm, songs)
        best = self._trained(arm, train, valid, folder, recipe, voices)
        folder, trained = best.parent, models.read_header(best)["extra"]
        clock = time.perf_counter()
        scores = self._score(
            arm,
            models.load(best),
            test,
            seed,
            {
                "steps": _steps(folder),
                "best_step": trained["step"],
                "hours": round(_seconds(folder) / 3600, 4),
                "train_songs": len(set(_names(train))),
                "parameters": sum(p.numel() for p in network.parameters()),
                "valid_loss": trained["valid_loss"],
                "audio": digest(about["audio"]),
            },
        )
        save_scores(file, scores, extra={"about": about})
        heard = [
            s.value for s in scores if s.metric == "usdr" and s.value == s.value
        ]  # NaN: a silent reference
        mean = statistics.fmean(heard) if heard else float("nan")
        return (
            scores,
            f"usdr {mean:.2f} dB, {_seconds(folder):.0f} s of training, {time.perf_counter() - clock:.0f} s of scoring",
        )

    def _about(self, arm, network, recipe, songs, voices):
        """All that decides an arm's scores."""
        audio = {part: identities(tracks) for part, tracks in songs.items()}
        return {
            "model": network.name,
            "settings": network.settings,
            "recipe": _decisive(recipe),
            "metrics": list(self.plan.metrics),
            "test": _names(songs["test"]),
            "score rate": arm.score_rate,
            "excerpt": arm.excerpt,
            "data": data_set_name(self.data),
            "audio": {**audio, "speech": voices and voices.identity()},
        }

    def _network(self, arm, seed):
        plan, other = self.plan, arm.model not in (None, self.plan.model)
        settings = arm.settings if other else {**plan.settings, **arm.settings}
        torch.manual_seed(seed)
        return models.build(arm.model or plan.model, target=TARGET, **settings)

    def _trained(self, arm, train, valid, folder, recipe, voices):
        """The best checkpoint: of the arm's folder; of one beside it, if that is on other audio."""
        heard = digest(identities(train), identities(valid), voices and voices.identity())

        def trained_in(folder):
            network, device = self._network(arm, recipe.seed), str(self.device)
            more = dict(progress=False, speech=voices)
            return training.train(network, train, valid, folder, recipe, device, TARGET, **more)

        try:
            return trained_in(folder)
        except OtherSongs:
            return trained_in(folder.with_name(f"{folder.name}-{heard[:8]}"))

    def _songs(self, arm, network):
        """What an arm depends on: tracks by split; of an excerpt the song that it is cut from."""
        test = self.tracks("test", network)
        if arm.excerpt:
            return {"train": [], "valid": [], "test": [test[arm.excerpt[0]]]}
        if arm.augmented and self.augmented is None:
            raise SepkitError(
                f"{self.name}: the arm {arm.name!r} needs --augmented FOLDER; write it with: sepkit data augment"
            )
        train = list(self.tracks("train", network, self.augmented if arm.augmented else None))
        valid = self.tracks("valid", network)
        if arm.songs is not None:
            if arm.songs > len(train):
                raise SepkitError(
                    f"{self.name}: the arm {arm.name!r} needs {arm.songs} training songs; {self.data} has {len(train)}"
                )
            train = train[: arm.songs]
        train = train + list(valid) * arm.with_valid
        return {"train": train, "valid": list(valid), "test": test}

    def _examples(self, arm, songs):
        """Tracks to train, validate and test with."""
        if arm.excerpt:
            parts = _thirds(_loudest(songs["test"][0], arm.excerpt[1]))
            return parts * HEARD, parts, parts
        return self.held(songs["train"]), self.held(songs["valid"]), songs["test"]

    def _score(self, arm, network, test, seed, facts):
        separator = separation.ModelSeparator(network, device=self.device)
        rate = arm.score_rate or network.sample_rate
        if rate != network.sample_rate:
            test = open_tracks(
                self.data,
                "test",
                self.root,
                sample_rate=rate,
                channels=network.channels,
                preset=self.preset if self.data == "band" else None,
            )
        dataset = data_set_name(self.data)
        if (rate, network.channels) != (
            44100,
            2,
        ):  # such scores never share a column with those of the full audio
            dataset += f", {rate / 1000:g} kHz {'mono' if network.channels == 1 else 'stereo'}"
        facts = {**facts, "preset": self.preset} if self.data == "band" else facts
        if arm.excerpt:
            facts["excerpt"] = f"{arm.excerpt[1]:g} s"
        command = f"sepkit experiment {self.name} --profile {self.profile} --data {dataset.partition(',')[0]} --seeds {self.seeds}"
        own = provenance(
            command,
            device=str(self.device),
            seed=seed,
            profile=self.profile,
            experiment=self.name,
            **facts,
        )
        found = {}
        for track in test:  # the examples of an excerpt have one name, and count together
            for target, metric, value, card in _of_song(separator, track, rate, self.plan.metrics):
                if target == TARGET:
                    found.setdefault((track.name, metric, card), []).append(float(value))
        return [
            Score(name, TARGET, metric, statistics.fmean(values), arm.name, dataset, card, own)
            for (name, metric, card), values in found.items()
        ]


def _of_song(separator, track, rate, wanted):
    mixture, voice = track.mixture(), track.stem(TARGET)
    same = rate == separator.sample_rate
    estimate = (
        separator.separate(mixture) if same else separation.separate_at(separator, mixture, rate)
    )[TARGET]
    truth = {TARGET: voice, "accompaniment": mixture - voice}
    return metrics.score_track(
        truth, {TARGET: estimate, "accompaniment": mixture - estimate}, rate, wanted
    )


def _derived(plan, scores):
    """Scores of what is computed from arms, seed by seed."""
    made = []
    for seed in sorted({score.provenance["seed"] for score in scores}):
        table, example = {}, {}
        for score in (s for s in scores if s.provenance["seed"] == seed):
            table.setdefault(score.separator, {})[score.track, score.metric] = score.value
            example[score.track, score.metric] = score
        for name, function in plan.derived.items():
            for key, value in function(table).items():
                made.append(
                    replace(
                        example[key],
                        separator=name,
                        value=value,
                        provenance={**example[key].provenance, "derived": name},
                    )
                )
    return made


def _loudest(track, seconds):
    """The excerpt in which the target is strongest, as a track of its own."""
    frames = min(track.samples, round(seconds * track.sample_rate))
    power = track.stem(TARGET).square().sum(0).double().cumsum(0)
    power = torch.cat([power.new_zeros(1), power])
    energies = (power[frames:] - power[:-frames])[:: track.sample_rate // 4]
    start = int(energies.argmax()) * (track.sample_rate // 4)
    return MemoryTrack(
        track.name,
        {stem: track.stem(stem, start, frames) for stem in track.stems},
        track.sample_rate,
    )


def _thirds(track):
    """Three examples of half the length, each overlapping the next by half, as tracks."""
    half, quarter = track.samples // 2, track.samples // 4
    return [
        MemoryTrack(
            track.name,
            {stem: track.stem(stem, k * quarter, half) for stem in track.stems},
            track.sample_rate,
        )
        for k in range(3)
    ]


def _decisive(recipe):
    free = ("workers", "cache", "save_minutes")
    return {key: value for key, value in recipe.flat().items() if key not in free}


def _names(tracks):
    return [track.name for track in tracks]


def _slug(name):
    return "".join(c if c.isalnum() or c in ".-" else "-" for c in name.lower()).strip("-")


def _log(folder):
    lines = (folder / "log.csv").read_text().splitlines()
    return dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))


def _steps(folder):
    return int(_log(folder)["step"])


def _seconds(folder):
    return float(_log(folder)["seconds"])
