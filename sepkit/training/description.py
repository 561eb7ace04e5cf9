"""What decides a run's weights: recorded when it begins, compared when it is resumed."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ..errors import SepkitError
from .distributed import World
from .recipe import DEFAULTS, Recipe
from .songs import Songs, identities

#: Parts of a recipe that may differ when a run is resumed: they bound it or speed it up, and do
#: not alter it.
FREE = (
    "epochs",
    "max_steps",
    "max_seconds",
    "patience",
    "workers",
    "cache",
    "save_minutes",
    "log",
    "strict",
)


class OtherSongs(SepkitError):
    """A run's folder holds a run on other songs, or on other audio under their names."""


def describe_run(
    model, target: str, recipe: Recipe, songs: Songs, world: World, speech=None, init=None
) -> dict[str, Any]:
    """What decides a run's weights: recorded in its folder, compared when it is resumed.

    Parameters
    ----------
    model, target, recipe, songs, world, speech
        As in `sepkit.training.train`.
    init : dict, optional
        What `sepkit.training.fine_tuning.take_weights` says of the weights it begins with.
    """
    tracks = songs.tracks
    about = {
        "model": model.name,
        "target": target,
        "settings": model.settings,
        "recipe": {name: value for name, value in recipe.flat().items() if name not in FREE},
        "processes": world.size,
        "speech": None if speech is None else repr(speech),
        "train tracks": [track.name for track in tracks["train"]],
        "valid tracks": [track.name for track in tracks["valid"]],
    }
    if init is not None:
        about["init"] = init
    audio: dict[str, Any] = {}
    if world.rank == 0:  # hashing takes time
        audio = {part: identities(tracks[part]) for part in ("train", "valid")}
        audio["speech"] = None if speech is None else identities([speech])[0]
    about["audio"] = world.from_first(audio)
    return json.loads(json.dumps(about))  # tuples become lists, as they are when read back


def refuse_differences(out: Path, then: dict, now: dict, left_out: dict) -> None:
    """Raise a `SepkitError` unless a run is resumed as it was begun.

    Parameters
    ----------
    out : Path
        The run's folder.
    then, now : dict
        See `describe_run`.
    left_out : dict
        See `Songs`: nothing depends on what these songs hold.
    """
    _refuse_other_settings(out, then, now)
    _refuse_other_start(out, then, now)
    _refuse_other_songs(out, then, now, left_out)


def _refuse_other_settings(out, then, now):
    """Name the first difference but for songs and first weights."""
    old_settings, new_settings = _flat(then), _flat(now)
    for key in sorted(old_settings.keys() | new_settings.keys()):
        old, new = old_settings.get(key), new_settings.get(key)
        if old != new:
            raise SepkitError(
                f"{out}: holds a run with {key} {old}, not {new}; choose another folder, or the "
                "same settings"
            )


def _flat(about):
    # A part of the recipe that is not recorded is at its default: it came later, or was left.
    flat = {name: value for name, value in DEFAULTS.items() if name not in FREE}
    flat = json.loads(json.dumps(flat))  # tuples become lists, as in what is recorded
    for key, value in about.items():
        if key not in ("train tracks", "valid tracks", "audio", "init"):
            flat.update(value if isinstance(value, dict) else {key: value})
    return flat


def _refuse_other_start(out, then, now):
    """Refuse a run that began with other weights."""
    old, new = then.get("init"), now.get("init")
    if (old or {}).get("sha256") == (new or {}).get("sha256"):
        return
    begun = (
        f"began with {old['checkpoint']} (sha256 {old['sha256'][:12]})"
        if old
        else "began with random weights"
    )
    given = f"--init {new['checkpoint']} (sha256 {new['sha256'][:12]})" if new else "no --init"
    remedy = "choose another folder to fine-tune" if new else "give the same --init to resume it"
    without = ", or leave --init out to resume" if new and not old else ""
    raise SepkitError(f"{out}: holds a run that {begun}, and {given} was given; {remedy}{without}")


def _refuse_other_songs(out, then, now, left_out):
    """Refuse a run on other audio; where no byte differs, names do not count.

    Older runs recorded names alone, which are compared then.
    """
    found = []
    for part in ("train", "valid"):
        names = [about[f"{part} tracks"] for about in (then, now)]
        sounds = [about["audio"][part] for about in (then, now)] if "audio" in then else names
        found += [f"{part}: {text}" for text in _differences(names, sounds, left_out[part])]
    if "audio" in then and then["audio"]["speech"] != now["audio"]["speech"]:
        found.append("the speech has changed")
    if found:
        remedy = "choose another folder, or bring back what it was begun with"
        raise OtherSongs(f"{out}: holds a run on other audio ({'; '.join(found)}); {remedy}")


def _differences(names, sounds, left_out):
    """What differs between two lists of songs, in words."""
    if sounds[0] == sounds[1]:
        return []
    if names[0] == names[1]:
        changed = [k for k, (a, b) in enumerate(zip(*sounds)) if a != b and None not in (a, b)]
        return _told("changed", [names[0][k] for k in changed if k not in left_out])
    before, after = (dict(zip(*both)) for both in zip(names, sounds))
    gone, new = (list((Counter(a) - Counter(b)).elements()) for a, b in (names, names[::-1]))
    changed = [name for name in after if name in before and before[name] != after[name]]
    found = [*_told("changed", changed), *_told("removed", gone), *_told("added", new)]
    return found or ["the same songs in another order"]


def _told(what, songs, at_most=3):
    more = f" and {len(songs) - at_most} more" if len(songs) > at_most else ""
    return [f"{what} {', '.join(songs[:at_most])}{more}"] if songs else []
