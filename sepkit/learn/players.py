"""Players for the notebooks: synchronised, labelled, matched in loudness.

`players` shows one row per sound, with one transport for all: they start, seek and loop
together, and choosing another row switches to it at the same instant. Waveforms and spectrograms
carry the playhead. It is plain HTML with a little WebAudio, so it plays in JupyterLab, in Colab
and, without a network, in exported pages. Where scripts are not allowed, every row is the
browser's own player.
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
from .player_pictures import SPAN, TOP, pictures_html

_RATES = (44100, 22050)  # MP3 at the higher one unless that grows too large
_LARGE = 1_000_000  # bytes of audio in one output
_ASSETS = Path(__file__).parent
#: Keys pressed in a control are the control's. JupyterLab looks at the focused element alone:
#: without this, "d d" deletes the cell and arrows leave the slider.
_KEYS = 'data-lm-suppress-shortcuts="true"'


def players(
    sounds: Mapping[str, torch.Tensor | np.ndarray],
    sample_rate: int,
    match: bool = True,
    together: bool = False,
    mono: bool = True,
    title: str = "",
    listen: str = "",
    colours: Mapping[str, str] | None = None,
    pictures: bool = True,
    synthetic: bool = False,
) -> PlayerRows:
    """Make one row per sound, synchronised: versions to choose from, or stems to mix.

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
        Stems: all are heard at first, at their own levels, and add up to the mixture; each can
        be muted, or heard alone (solo).
    mono : bool
        Average stereo to mono, which halves the notebook.
    title : str
        Shown above the row.
    listen : str
        What to listen for, in a sentence: shown beside the player, also where it is silent.
    colours : dict, optional
        Label -> CSS colour; by default the stem colours of `plots`, others in turn.
    pictures : bool
        Waveforms, and spectrograms on request, with the playhead. A blind test has none.
    synthetic : bool
        The sounds are computed from formulas alone, such as tones and sweeps: `make notebooks`
        stores them. Never for music or speech, rendered or recorded.

    Returns
    -------
    PlayerRows
        Shown by the notebook; printed as text elsewhere.

    Raises
    ------
    SepkitError
        For no sounds, or a sound that is empty, not finite, or of more than two channels.
    """
    return PlayerRows(
        sounds,
        sample_rate,
        match=match,
        together=together,
        mono=mono,
        title=title,
        listen=listen,
        colours=colours,
        pictures=pictures,
        synthetic=synthetic,
    )


class PlayerRows:
    """What `players` returns. `gains` holds the dB given to each sound."""

    def __init__(
        self,
        sounds: Mapping[str, torch.Tensor | np.ndarray],
        sample_rate: int,
        *,
        match: bool,
        together: bool,
        mono: bool,
        title: str,
        listen: str,
        colours: Mapping[str, str] | None,
        pictures: bool,
        synthetic: bool,
    ):
        if not sounds:
            raise SepkitError("players: there are no sounds; pass {label: audio}")
        signals = {str(label): _checked(label, sound, mono) for label, sound in sounds.items()}
        self.sample_rate, self.title, self.listen = sample_rate, title, listen
        self.match, self.together = match and not together, together
        self.synthetic = synthetic
        self.gains = matching_gains(signals, sample_rate, self.match, together)
        length = max(x.shape[-1] for x in signals.values())
        self.seconds = length / sample_rate
        scaled = {
            label: torch.nn.functional.pad(
                x * 10 ** (self.gains[label] / 20), (0, length - x.shape[-1])
            )
            for label, x in signals.items()
        }
        self._encoded = _encode(scaled, sample_rate)
        self._tints = _tints(signals, colours or {})
        self._pictures = pictures_html(scaled, sample_rate) if pictures else {}

    def __repr__(self):
        rows = [f"  {label} ({gain:+.1f} dB)" for label, gain in self.gains.items()]
        heading = f"Players, {self.seconds:.1f} s: {self.title}".rstrip(": ")
        listen = [f"Listen for: {self.listen}"] if self.listen else []
        return "\n".join([heading, *rows, *listen])

    def _repr_html_(self):
        name = f"sepkit-{uuid.uuid4().hex[:12]}"
        rows = "".join(self._row_html(name, index) for index in range(len(self.gains)))
        how = "matched in loudness" if self.match else "at their own levels"
        gains = (f"{html.escape(label)} {gain:+.1f}" for label, gain in self.gains.items())
        top = min(TOP, self.sample_rate / 2) / 1000
        pictured = f"; spectrograms up to {top:.2g} kHz, {SPAN} dB" if self._pictures else ""
        listen = f'<p class="listen"><b>Listen for:</b> {html.escape(self.listen)}</p>'
        view = (
            f'<button type="button" class="view" aria-pressed="false" {_KEYS}>spectrogram</button>'
        )
        return _asset("players.html").format(
            name=name,
            keys=_KEYS,
            kind=' data-synthetic="true"' if self.synthetic else "",
            style=_asset("players.css").replace("#ROOT", f"#{name}"),
            script=_asset("players.js"),
            title=html.escape(self.title or ", ".join(self.gains), quote=True),
            listen=listen if self.listen else "",
            view=view if self._pictures else "",
            rows=rows,
            note=f"{how}; gain in dB: {', '.join(gains)}{pictured}",
            hidden="" if self.title else " hidden",
        )

    def _row_html(self, name, index):
        label = list(self.gains)[index]
        shown = html.escape(label, quote=True)
        several, first = len(self.gains) > 1, index == 0
        mark = f"<kbd>{index + 1}</kbd> {shown}" if several and index < 9 else shown
        choice = buttons = ""
        if several and self.together:
            buttons = "".join(
                f'<button type="button" class="{what}" aria-pressed="false"'
                f' aria-label="{what} {shown}" {_KEYS}>{what}</button>'
                for what in ("solo", "mute")
            )
        elif several:
            choice = (
                f'<input type="radio" class="choice" name="{name}" aria-label="hear {shown}"'
                f"{' checked' if first else ''} {_KEYS}>"
            )
        return (
            f'<div class="row" role="group" aria-label="{shown}"'
            f' style="--tint:{self._tints[label]}">'
            f'<div class="controls"><label class="label">{choice}{mark}</label>{buttons}'
            '<label class="gain">gain <input type="range" min="-30" max="0" step="1" value="0"'
            f' aria-label="gain of {shown} in dB" {_KEYS}><span>0 dB</span></label></div>'
            f"{self._pictures.get(label, '')}"
            f'<audio controls preload="none" src="{self._encoded[label]}"'
            f' aria-label="{shown}" {_KEYS}></audio></div>'
        )


def _tints(labels, given):
    """{label: CSS colour}: the given one, a stem's own, or the next of those that are left."""
    from .plots import CYCLE, colour

    known = {label: given.get(label) or colour(label) for label in labels}
    others = iter([tint for tint in CYCLE if tint not in known.values()] * len(known))
    none = colour("")
    return {
        label: next(others, none) if tint == none and label not in given else tint
        for label, tint in known.items()
    }


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
    for rate in _RATES:
        rate = min(rate, sample_rate)
        data = {
            label: mp3(files.resample(x, sample_rate, rate), rate) for label, x in signals.items()
        }
        if sum(map(len, data.values())) <= _LARGE:
            break
    return {
        label: "data:audio/mpeg;base64," + base64.b64encode(one).decode()
        for label, one in data.items()
    }


def mp3(x: torch.Tensor, rate: int) -> bytes:
    """Encode a sound (channels, samples) as MP3, resampled where there is none at its rate."""
    if rate not in files.MP3_RATES:
        nearest = min((r for r in files.MP3_RATES if r >= rate), default=48000)
        x, rate = files.resample(x, rate, nearest), nearest
    buffer = io.BytesIO()
    soundfile.write(buffer, x.clamp(-1, 1).T.numpy(), rate, format="MP3", subtype="MPEG_LAYER_III")
    return buffer.getvalue()


def _asset(name):
    return (_ASSETS / name).read_text(encoding="utf-8")
