"""Scores that others published: the JSON files of museval, one per song.

SiSEC 2018 and many papers hand out such files, with the four BSSEval ratios of
every frame. What they hold becomes Scores with a metric card, so that they enter
tables and comparisons by the same rules as scores measured here. Chapters 10 and
11 read them.
"""

from dataclasses import replace
from pathlib import Path

import torch

from ..errors import SepkitError
from ..files import read_json, sha256
from ..names import plain_name
from .cards import card_for
from .scores import REQUIRED_PROVENANCE, Score, median, number_in

#: names of the framewise metrics here -> in museval's files
NAMES = {"csdr": "SDR", "isr": "ISR", "sir": "SIR", "sar": "SAR"}
OURS = {theirs: ours for ours, theirs in NAMES.items()}
_PAIR = ("vocals", "accompaniment")
_SPLITS = ("train", "valid", "test")


def load_museval(path, separator=None, dataset="", version="BSSEval v4 images"):
    """Scores from museval's files: for each song, target and ratio the median over frames.

    Parameters
    ----------
    path : str or Path
        ``SONG.json``; or a folder, read with all folders in it, such as
        ``METHOD/test/SONG.json``.
    separator : str, optional
        What tables call the method; by default the name of the folder that holds
        the file, or of the one above ``train``, ``valid`` and ``test``.
    dataset : str
        What tables call the data; the files do not say.
    version : str
        Which BSSEval wrote the files; they do not say it either. museval's default
        is v4. SDR is the same in v3; the other ratios are not.

    Returns
    -------
    list of Score
        Song after song. Ratios that a file does not hold are left out; NaN in all
        frames gives NaN. The provenance names the file, its SHA-256 and
        ``"origin": "third party"``; what is not known of it is None. museval writes
        infinite frames as NaN, so that they are left out of these medians. The card's
        target set follows museval's habit: vocals and accompaniment are scored as a
        pair where both are there, so those vocals cannot be averaged with vocals that
        were scored among four stems.

    Raises
    ------
    SepkitError
        Naming the file, if it is missing, not museval's, incomplete or contradicts
        itself; if a folder holds no such files; if one method has a song twice.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = [
            p
            for p in sorted(path.rglob("*.json"))
            if not any(part.startswith(".") for part in p.relative_to(path).parts)
        ]
        if not files:
            raise SepkitError(
                f"{path}: no JSON files; expected museval's, such as METHOD/test/SONG.json"
            )
    scores, seen = [], {}
    for file in files:
        name = separator or _method(file)
        if (name, file.stem) in seen:
            raise SepkitError(
                f"{file}: {seen[name, file.stem]} holds this song of {name!r} too; keep one of them"
            )
        seen[name, file.stem] = file
        scores += _scores(file, name, dataset, version)
    return scores


def museval_frames(path):
    """All frames of one of museval's files.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of str to dict of str to float64 tensor (frames,)
        Target -> metric (``csdr``, ``isr``, ``sir``, ``sar``: those that the file
        holds) -> dB, NaN where the file has no number.

    Raises
    ------
    SepkitError
        As for `load_museval`.
    """
    return _read(path)[0]


def _scores(file, separator, dataset, version):
    targets, window, hop, writer = _read(file)
    provenance = {
        **dict.fromkeys(REQUIRED_PROVENANCE),
        "origin": "third party",
        "file": file.name,
        "sha256": sha256(file),
        "museval": writer,
    }
    cards = {
        (target, metric): replace(
            card_for(metric, _scored_with(target, targets), window, hop), version=version
        )
        for target in targets
        for metric in NAMES
    }
    return [
        Score(
            file.stem,
            target,
            metric,
            median(values),
            separator,
            dataset,
            cards[target, metric],
            provenance,
        )
        for target, metrics in targets.items()
        for metric, values in metrics.items()
    ]


def _scored_with(target, targets):
    """Museval scores vocals and accompaniment as a pair, other stems without the accompaniment."""
    if not set(_PAIR) <= set(targets):
        return tuple(targets)
    return _PAIR if target in _PAIR else tuple(name for name in targets if name != "accompaniment")


def _read(file):
    """{target: {metric: values}}, window, hop, and museval's version if the file says it."""
    content = read_json(file)
    targets = values_of(content, file)
    window, hop = _grid(content["targets"], file)
    version = content.get("museval_version")
    return targets, window, hop, version if isinstance(version, str) else None


def values_of(content, source, infinite=False):
    """The ratios in the content of a file, whatever it says of times.

    Parameters
    ----------
    content : object
        The file's JSON.
    source : str or Path
        What error messages call it.
    infinite : bool
        Whether a ratio may be infinite; museval writes NaN there.

    Returns
    -------
    dict of str to dict of str to float64 tensor (frames,)
        As `museval_frames`.

    Raises
    ------
    SepkitError
        Naming the place in the file, unless all is there and of the right type.
    """
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("targets"), list)
        or not content["targets"]
    ):
        raise SepkitError(
            f"{source}: not a file of museval's scores; "
            'expected {"targets": [{"name": ..., "frames": [...]}]}'
        )
    targets = {}
    for number, entry in enumerate(content["targets"]):
        where = f"targets[{number}]"
        name = _entry(entry, "name", str, where, source).removesuffix(
            ".wav"
        )  # museval.eval_dir keeps the suffix
        plain_name(name, "target", source)
        frames = _entry(entry, "frames", list, where, source)
        if name in targets:
            raise SepkitError(f"{source}: two targets are called {name!r}; write the file again")
        if not frames:
            raise SepkitError(f"{source}: target {name!r} has no frames; score this song again")
        metrics = [
            _entry(frame, "metrics", dict, f"{where}.frames[{k}]", source)
            for k, frame in enumerate(frames)
        ]
        targets[name] = {
            ours: torch.tensor(
                [
                    number_in(
                        metric.get(theirs),
                        f"{where}.frames[{k}].metrics.{theirs}",
                        source,
                        infinite,
                    )
                    for k, metric in enumerate(metrics)
                ],
                dtype=torch.float64,
            )
            for ours, theirs in NAMES.items()
            if any(metric.get(theirs) is not None for metric in metrics)
        }
    return targets


def _entry(place, key, kind, where, source):
    """What an object of the file has under a key."""
    if not isinstance(place, dict) or not isinstance(place.get(key), kind):
        kinds = {str: "a text", list: "a list", dict: "an object"}
        raise SepkitError(
            f"{source}: incomplete, {where}.{key} is not {kinds[kind]}; expected time, duration "
            "and metrics in every frame"
        )
    return place[key]


def _grid(targets, file):
    """Window and hop, which all frames must share; the hop of a single frame is its window."""
    times = {
        tuple(
            tuple(
                number_in(frame.get(key), f"targets[{number}].frames[{k}].{key}", file, null=False)
                for key in ("time", "duration")
            )
            for k, frame in enumerate(entry["frames"])
        )
        for number, entry in enumerate(targets)
    }
    starts, lengths = zip(*next(iter(times)))
    if min(lengths) <= 0 or min(starts) < 0 or any(b <= a for a, b in zip(starts, starts[1:])):
        raise SepkitError(
            f"{file}: its frames are not in order, or have no duration; expected times that rise "
            "from 0, in seconds"
        )
    hops = {round(b - a, 6) for a, b in zip(starts, starts[1:])} or {lengths[0]}
    if len(times) > 1 or len(set(lengths)) > 1 or len(hops) > 1:
        raise SepkitError(
            f"{file}: its targets or frames differ in time or duration, so no one metric card "
            "fits; score this song again"
        )
    return lengths[0], hops.pop()


def _method(file):
    folder = file.resolve().parent
    return folder.parent.name if folder.name in _SPLITS else folder.name
