"""A small SoundFont 2 reader and sampler in numpy.

The font is TimGM6mb.sf2, which pretty_midi brings along (GPL-2), so nothing
is downloaded. Of the format (Creative Labs, SoundFont 2.01 specification) we
read what shapes a note: key and velocity ranges, tuning, loop, volume
envelope, low-pass cutoff and attenuation. Chorus, reverb, LFOs and resonance
are left out: mixing.py adds its own.
"""

import importlib.util
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from ..errors import SepkitError

RATE = 44100
DRUM_BANK = 128

# The SoundFont generators used here, by number.
_FILTER, _MODENV_FILTER, _PAN = 8, 11, 17
_ATTACK, _HOLD, _DECAY, _SUSTAIN, _RELEASE = 34, 35, 36, 37, 38
_INSTRUMENT, _KEYS, _VELOCITIES, _ATTENUATION = 41, 43, 44, 48
_COARSE, _FINE, _SAMPLE, _MODE, _SCALE, _ROOT = 51, 52, 53, 54, 56, 58
_LOOP_SHIFT = {"start": (2, 45), "end": (3, 50)}
_SIGNED = {_FILTER, _MODENV_FILTER, _PAN, _ATTACK, _HOLD, _DECAY, _RELEASE, _COARSE, _FINE}
_SIGNED |= {number for pair in _LOOP_SHIFT.values() for number in pair}


@dataclass(frozen=True)
class Zone:
    """One sample as it is mapped on the keyboard; times in seconds, levels linear."""

    keys: tuple
    velocities: tuple
    sample: str
    start: int
    end: int
    loop: tuple  # (start, end) from `start`, or () when the sample is played once
    ratio: float  # playback speed at key 0 of scale-tuned notes
    scale: float  # cents per key
    attack: float
    hold: float
    decay: float  # seconds for 100 dB
    sustain: float  # dB below the peak
    release: float  # seconds for 100 dB
    cutoff: float  # Hz
    gain: float

    def covers(self, key: int, velocity: int) -> bool:
        """Whether this sample sounds for a key that is struck with this velocity."""
        return (
            self.keys[0] <= key <= self.keys[1]
            and self.velocities[0] <= velocity <= self.velocities[1]
        )


def font_path() -> Path | None:
    """The font that pretty_midi bundles, or None when pretty_midi is not installed."""
    spec = importlib.util.find_spec("pretty_midi")  # finds the folder without importing the package
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "TimGM6mb.sf2"
    return path if path.is_file() else None


@lru_cache(maxsize=1)
def bundled():
    """The bundled font, read once per process.

    Raises
    ------
    SepkitError
        If pretty_midi is not installed.
    """
    path = font_path()
    if path is None:
        raise SepkitError(
            "the sampled instruments need pretty_midi: "
            "pip install 'sepkit[band]', or pass instruments='dsp'"
        )
    return SoundFont(path)


class SoundFont:
    """Presets of one .sf2 file.

    Parameters
    ----------
    path : str or Path
    """

    def __init__(self, path):
        chunks = _chunks(Path(path).read_bytes())
        self.samples = np.frombuffer(chunks["smpl"], dtype="<i2")
        self._headers = _records(chunks["shdr"], "<20sIIIIIBbHH")
        self._presets = _records(chunks["phdr"], "<20sHHHIII")
        self._bags = {kind: _records(chunks[kind + "bag"], "<HH") for kind in "pi"}
        self._generators = {kind: _records(chunks[kind + "gen"], "<HH") for kind in "pi"}
        self._instruments = _records(chunks["inst"], "<20sH")
        self._cache = {}

    def zones(self, program, bank=0):
        """The zones of a preset (cached). Raises `SepkitError` for one that does not exist."""
        if (bank, program) not in self._cache:
            for entry, after in zip(self._presets[:-1], self._presets[1:]):
                if (entry[2], entry[1]) == (bank, program):
                    self._cache[bank, program] = list(self._preset_zones(entry[3], after[3]))
                    break
            else:
                raise SepkitError(f"the sound font has no program {program} in bank {bank}")
        return self._cache[bank, program]

    def _settings(self, kind, bag):
        first, last = self._bags[kind][bag][0], self._bags[kind][bag + 1][0]
        return {
            number: value - 65536 if number in _SIGNED and value > 32767 else value
            for number, value in self._generators[kind][first:last]
        }

    def _preset_zones(self, first, last):
        for bag in range(first, last):
            instrument = self._settings("p", bag).get(_INSTRUMENT)
            if instrument is None:
                continue  # this font's preset zones carry nothing but their instrument
            common = {}
            for inner in range(
                self._instruments[instrument][1], self._instruments[instrument + 1][1]
            ):
                settings = self._settings("i", inner)
                if _SAMPLE not in settings:
                    common = settings
                    continue
                yield self._zone({**common, **settings})

    def _zone(self, settings):
        name, start, end, loop_start, loop_end, rate, root, correction, _, _ = self._headers[
            settings[_SAMPLE]
        ]
        root = settings.get(_ROOT, root)
        root = root if root <= 127 else 60
        scale = settings.get(_SCALE, 100)
        cents = 100 * settings.get(_COARSE, 0) + settings.get(_FINE, 0) + correction - root * scale
        shift = {
            k: settings.get(fine, 0) + 32768 * settings.get(coarse, 0)
            for k, (fine, coarse) in _LOOP_SHIFT.items()
        }
        loop = (loop_start + shift["start"] - start, loop_end + shift["end"] - start)
        looped = settings.get(_MODE, 0) & 1 and 0 <= loop[0] < loop[1] <= end - start
        # Half of the filter envelope stands for its mean over a note.
        cutoff = settings.get(_FILTER, 13500) + max(0, settings.get(_MODENV_FILTER, 0)) / 2
        everything = 127 << 8
        return Zone(
            keys=_bounds(settings.get(_KEYS, everything)),
            velocities=_bounds(settings.get(_VELOCITIES, everything)),
            sample=name.split(b"\0")[0].decode("latin-1"),
            start=start,
            end=end,
            loop=loop if looped else (),
            ratio=2 ** (cents / 1200) * rate / RATE,
            scale=scale,
            attack=_seconds(settings, _ATTACK),
            hold=_seconds(settings, _HOLD),
            decay=_seconds(settings, _DECAY),
            sustain=settings.get(_SUSTAIN, 0) / 10,
            release=_seconds(settings, _RELEASE),
            cutoff=8.176 * 2 ** (cutoff / 1200),
            # 0.4: as the hardware did, and every synthesiser since
            gain=10 ** (-0.4 * settings.get(_ATTENUATION, 0) / 200),
        )

    def tone(self, zone: Zone, pitch: float, samples: int) -> np.ndarray:
        """`zone` at MIDI `pitch`, looped to at most `samples`, without envelope, float32."""
        ratio = zone.ratio * 2 ** (pitch * zone.scale / 1200)
        data = self.samples[zone.start : zone.end]
        if not zone.loop:
            samples = min(samples, max(1, int((len(data) - 2) / ratio)))
        position = np.arange(samples) * ratio
        if zone.loop:
            start, end = zone.loop
            beyond = position >= end
            position[beyond] = start + np.mod(position[beyond] - start, end - start)
        index = position.astype(np.int64)
        following = index + 1
        if zone.loop:
            following[following >= end] = start
        fraction = (position - index).astype(np.float32)
        low, high = data[index].astype(np.float32), data[following].astype(np.float32)
        wave = (low + fraction * (high - low)) * np.float32(zone.gain / 32768)
        if zone.cutoff < 16000:
            wave = _low_pass(wave, zone.cutoff)
        return wave


def envelope(zone, samples, held):
    """The volume envelope of a note: `samples` long, the key let go after `held` samples."""
    time = np.arange(samples, dtype=np.float32) / RATE
    level = np.minimum(time / max(zone.attack, 0.002), 1)
    fall = np.clip(time - zone.attack - zone.hold, 0, None) * (100 / max(zone.decay, 0.01))
    loss = np.minimum(fall, zone.sustain)
    release = np.clip(time - held / RATE, 0, None) * (100 / np.clip(zone.release, 0.05, 1.5))
    level = level * np.float32(10) ** (-(loss + release) / np.float32(20))
    tail = min(220, samples)
    level[-tail:] *= np.linspace(1, 0, tail, dtype=np.float32)
    return level


def _low_pass(wave, cutoff):
    # Two poles without resonance.
    pole = np.exp(-2 * np.pi * cutoff / RATE)
    b, a = np.array([(1 - pole) ** 2]), np.array([1, -2 * pole, pole * pole])
    return lfilter(b, a, wave).astype(np.float32)


def _seconds(settings, number):
    return 2 ** (settings.get(number, -12000) / 1200)


def _bounds(value):
    return value & 255, value >> 8


def _records(data, layout):
    return list(struct.iter_unpack(layout, data))


def _chunks(data):
    found, stack = {}, [(12, len(data))]
    while stack:
        position, end = stack.pop()
        while position + 8 <= end:
            name = data[position : position + 4].decode("latin-1")
            size = struct.unpack_from("<I", data, position + 4)[0]
            if name == "LIST":
                stack.append((position + 12, position + 8 + size))
            else:
                found[name] = data[position + 8 : position + 8 + size]
            position += 8 + size + (size & 1)
    return found
