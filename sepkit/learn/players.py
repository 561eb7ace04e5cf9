"""Players for the notebooks: synchronised, labelled, matched in loudness.

`players` shows one row per sound, with one transport for all: they start and seek
together, and pressing "solo" compares two of them at the same instant. It is plain
HTML with a little WebAudio, so it plays in JupyterLab, in Colab and, without a
network, in HTML exported by nbconvert. Where scripts are not allowed, every row
is the browser's own player.
"""

from __future__ import annotations

import base64
import html
import io
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
import torch

from .. import audio as files
from ..errors import SepkitError
from .loudness import matching_gains

_RATES = (44100, 22050)  # MP3 at the higher one unless that grows too large
_LARGE = 1_000_000  # bytes of audio in one output
_ASSETS = Path(__file__).parent


def players(
    sounds: Mapping[str, torch.Tensor | np.ndarray],
    sample_rate: int,
    match: bool = True,
    together: bool = False,
    mono: bool = True,
    title: str = "",
    colours: Mapping[str, str] | None = None,
) -> PlayerRows:
    """Make one row per sound, synchronised: the first is heard, "solo" switches at once.

    Parameters
    ----------
    sounds : dict of str to Tensor or ndarray
        Label -> (channels, samples) or (samples,), all at `sample_rate`. Shorter ones
        are continued by silence.
    sample_rate : int
        In Hz.
    match : bool
        Bring all to one loudness (ITU-R BS.1770); the gains are shown. Without it,
        all share one gain, so that their levels stay comparable.
    together : bool
        Stems: all are heard at first, at their own levels, and add up to the mixture.
    mono : bool
        Average stereo to mono, which halves the notebook.
    title : str
        Shown above the row.
    colours : dict, optional
        Label -> CSS colour; by default the stem colours of `plots`.

    Returns
    -------
    PlayerRows
        Shown by the notebook; printed as text elsewhere.

    Raises
    ------
    SepkitError
        For no sounds, or a sound that is empty, not finite, or of more than two channels.
    """
    return PlayerRows(sounds, sample_rate, match, together, mono, title, colours)


def audio(
    label: str, sound: torch.Tensor | np.ndarray, sample_rate: int, title: str = ""
) -> PlayerRows:
    """Make one labelled player; it is never louder than full scale."""
    return players({label: sound}, sample_rate, title=title)


class PlayerRows:
    """What `players` returns. `gains` holds the dB given to each sound."""

    def __init__(
        self,
        sounds: Mapping[str, torch.Tensor | np.ndarray],
        sample_rate: int,
        match: bool = True,
        together: bool = False,
        mono: bool = True,
        title: str = "",
        colours: Mapping[str, str] | None = None,
    ):
        if not sounds:
            raise SepkitError("players: there are no sounds; pass {label: audio}")
        signals = {str(label): _checked(label, sound, mono) for label, sound in sounds.items()}
        self.sample_rate, self.title, self.colours = sample_rate, title, colours
        self.seconds = max(x.shape[-1] for x in signals.values()) / sample_rate
        self.match, self.together = match and not together, together
        self.gains = matching_gains(signals, sample_rate, self.match, together)
        self._encoded = _encode(
            {label: x * 10 ** (self.gains[label] / 20) for label, x in signals.items()}, sample_rate
        )

    def __repr__(self):
        rows = [f"  {label} ({self.gains[label]:+.1f} dB)" for label in self.gains]
        return "\n".join([f"Players, {self.seconds:.1f} s: {self.title}".rstrip(": "), *rows])

    def _repr_html_(self):
        name = f"sepkit-{uuid.uuid4().hex[:12]}"
        rows = "".join(self._row_html(index, label) for index, label in enumerate(self.gains))
        how = "matched in loudness" if self.match else "at their own levels"
        gains = (f"{html.escape(label)} {gain:+.1f}" for label, gain in self.gains.items())
        return _asset("players.html").format(
            name=name,
            style=_asset("players.css").replace("#ROOT", f"#{name}"),
            script=_asset("players.js"),
            title=html.escape(self.title or ", ".join(self.gains)),
            rows=rows,
            note=f"{how}; gain in dB: {', '.join(gains)}",
            hidden="" if self.title else ' class="unseen"',
        )

    def _row_html(self, index, label):
        from .plots import colour

        tint = (self.colours or {}).get(label) or colour(label)
        name = html.escape(label, quote=True)
        pressed = "true" if index == 0 and not self.together else "false"
        buttons = (
            f'<button type="button" class="solo" aria-pressed="{pressed}" aria-label="solo {name}"'
            f' title="hear only this ({index + 1})">solo</button>'
            '<button type="button" class="mute" aria-pressed="false"'
            f' aria-label="mute {name}">mute</button>'
        )
        return (
            f'<div class="row" role="group" aria-label="{name}" style="--tint:{tint}">'
            f'<span class="label">{name}</span>{buttons if len(self.gains) > 1 else ""}'
            '<label class="gain">gain <input type="range" min="-30" max="0" step="1" value="0"'
            f' aria-label="gain of {name} in dB"><output>0 dB</output></label>'
            f'<audio controls preload="none" src="{self._encoded[label]}"></audio></div>'
        )


def _checked(label, sound, mono):
    x = torch.as_tensor(
        np.asarray(sound, dtype=np.float32)
        if not torch.is_tensor(sound)
        else sound.detach().cpu().float()
    )
    x = x[None] if x.ndim == 1 else x
    if x.ndim != 2 or not 1 <= x.shape[0] <= 2 or x.shape[1] == 0:
        raise SepkitError(
            f"players: {label!r} has shape {tuple(x.shape)}; expected (1 or 2 channels, samples)"
        )
    if not torch.isfinite(x).all():
        raise SepkitError(f"players: {label!r} holds NaN or infinity; mend it before listening")
    return files.to_channels(x, 1) if mono else x


def _encode(signals, sample_rate):
    """{label: data URI}: MP3, at the highest rate that keeps the output small."""
    length = max(x.shape[-1] for x in signals.values())
    signals = {
        label: torch.nn.functional.pad(x, (0, length - x.shape[-1])) for label, x in signals.items()
    }
    for rate in _RATES:
        rate = min(rate, sample_rate)
        data = {
            label: _mp3(files.resample(x, sample_rate, rate), rate) for label, x in signals.items()
        }
        if sum(map(len, data.values())) <= _LARGE:
            break
    return {
        label: "data:audio/mpeg;base64," + base64.b64encode(one).decode()
        for label, one in data.items()
    }


def _mp3(x, rate):
    if rate not in files.MP3_RATES:
        nearest = min((r for r in files.MP3_RATES if r >= rate), default=48000)
        x, rate = files.resample(x, rate, nearest), nearest
    buffer = io.BytesIO()
    soundfile.write(buffer, x.clamp(-1, 1).T.numpy(), rate, format="MP3", subtype="MPEG_LAYER_III")
    return buffer.getvalue()


def _asset(name):
    return (_ASSETS / name).read_text(encoding="utf-8")
