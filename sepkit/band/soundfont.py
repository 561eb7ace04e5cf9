"""A SoundFont reader and sampler in numpy, for .sf2 files and .sf3 files (Ogg Vorbis samples).

The default font is TimGM6mb.sf2, which pretty_midi brings along (GPL-2), so
nothing is downloaded. Of the format (Creative Labs, SoundFont 2.04
specification) we read what shapes a note: key and velocity ranges, tuning,
loop, pan, volume envelope, low-pass cutoff and attenuation. Chorus, reverb,
LFOs, modulators and resonance are left out: mixing.py adds its own. Files come
from others: every index and size is checked before it is used.
"""

import importlib.util
import io
import itertools
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from ..errors import SepkitError

RATE = 44100
DRUM_BANK = 128

# The SoundFont generators used here, by number (section 8.1.2).
_FILTER, _MODENV_FILTER, _PAN = 8, 11, 17
_ATTACK, _HOLD, _DECAY, _SUSTAIN, _RELEASE = 34, 35, 36, 37, 38
_INSTRUMENT, _KEYS, _VELOCITIES, _ATTENUATION = 41, 43, 44, 48
_COARSE, _FINE, _SAMPLE, _MODE, _SCALE, _ROOT = 51, 52, 53, 54, 56, 58
# (fine, coarse: 32768 samples) generators that move a sample's points
_OFFSETS = {"start": (0, 4), "end": (1, 12), "loop_start": (2, 45), "loop_end": (3, 50)}
# Default and range of those to which a preset adds its own (section 8.1.3).
_SUMMED = {
    _FILTER: (13500, 1500, 13500),
    _MODENV_FILTER: (0, -12000, 12000),
    _PAN: (0, -500, 500),
    _ATTACK: (-12000, -12000, 8000),
    _HOLD: (-12000, -12000, 5000),
    _DECAY: (-12000, -12000, 8000),
    _SUSTAIN: (0, 0, 1440),
    _RELEASE: (-12000, -12000, 8000),
    _ATTENUATION: (0, 0, 1440),
    _COARSE: (0, -120, 120),
    _FINE: (0, -99, 99),
    _SCALE: (100, 0, 1200),
}
_UNSIGNED = {_INSTRUMENT, _KEYS, _VELOCITIES, _SAMPLE, _MODE, _ROOT}

_RECORDS = {
    "phdr": [("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("", "V12")],
    "pbag": [("generator", "<u2"), ("modulator", "<u2")],
    "pgen": [("number", "<u2"), ("value", "<u2")],
    "inst": [("name", "S20"), ("bag", "<u2")],
    "ibag": [("generator", "<u2"), ("modulator", "<u2")],
    "igen": [("number", "<u2"), ("value", "<u2")],
    "shdr": [
        ("name", "S20"),
        *((field, "<u4") for field in ("start", "end", "loop_start", "loop_end", "rate")),
        ("root", "u1"),
        ("correction", "i1"),
        ("link", "<u2"),
        ("kind", "<u2"),
    ],
}
_MOST_RECORDS = 65536  # what an index of 16 bits can reach
_MOST_ZONES = 16384  # looked at for one program
_MOST_LAYERS = 128  # that sound for one key
_MOST_FRAMES = 2**23  # of one Ogg sample: three minutes
_MOST_DECODED = 2**25  # samples of decoded Ogg kept per font (64 MB)
_COMPRESSED, _ROM = 0x10, 0x8000


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
    pan: float = 0.0  # -1 left, 1 right: the two samples of a stereo pair
    ogg: tuple = ()  # (first, last) byte of a compressed sample in its chunk

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
def bundled() -> "SoundFont":
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


def load(path: str) -> "SoundFont":
    """A font by its path, opened once per process while it stays the same. As `SoundFont`."""
    try:
        state = os.stat(path)
    except OSError:
        return SoundFont(path)  # which says why
    return _load(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _load(path, *state):
    return SoundFont(path)


class SoundFont:
    """Presets of one .sf2 or .sf3 file.

    The samples stay on disk until a note needs them.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    SepkitError
        If the file is not a SoundFont, or is truncated.
    """

    def __init__(self, path):
        self.path = Path(path)
        #: The default font, whose notes must stay as they are: its pan is left out.
        self.is_bundled = self.path == font_path()
        try:
            self._bytes = np.memmap(self.path, np.uint8, mode="r")
        except (OSError, ValueError) as error:  # ValueError: of zero bytes
            reason = getattr(error, "strerror", None) or "the file is empty"
            raise SepkitError(
                f"{self.path}: cannot be read ({reason}); give an .sf2 or .sf3 file"
            ) from None
        chunks = self._chunks()
        self._smpl = chunks["smpl"]
        self.samples = self._smpl[: len(self._smpl) // 2 * 2].view("<i2")
        self._tables = {name: self._table(name, chunks[name]) for name in _RECORDS}
        presets = self._tables["phdr"][:-1]  # the last record only ends the one before
        self._numbers: dict[tuple, int] = {}
        for index, key in enumerate(zip(presets["bank"].tolist(), presets["program"].tolist())):
            self._numbers.setdefault(key, index)
        self._cache: dict[tuple, list[Zone]] = {}
        self._frames: dict[tuple, int] = {}
        self._decoded: dict[tuple, np.ndarray] = {}

    def has(self, program: int, bank: int = 0, key: int | None = None) -> bool:
        """Whether a preset exists and has samples (with `key`: one for this key, struck at 100)."""
        if (bank, program) not in self._numbers:
            return False
        zones = self.zones(program, bank)
        return bool(zones) if key is None else any(zone.covers(key, 100) for zone in zones)

    def zones(self, program: int, bank: int = 0) -> list[Zone]:
        """The zones of a preset (cached).

        Raises
        ------
        SepkitError
            For a preset that does not exist or is damaged.
        """
        if (bank, program) not in self._cache:
            if (bank, program) not in self._numbers:
                raise SepkitError(f"{self.path}: has no program {program} in bank {bank}")
            zones = list(self._preset_zones(self._numbers[bank, program]))
            for key in range(128):
                if sum(zone.keys[0] <= key <= zone.keys[1] for zone in zones) > _MOST_LAYERS:
                    raise self._damaged(
                        f"program {program} has more than {_MOST_LAYERS} samples per key"
                    )
            self._cache[bank, program] = zones
        return self._cache[bank, program]

    def check(self, zones: list[Zone]) -> None:
        """Decode the zones' Ogg samples once. Raises `SepkitError` for a damaged one."""
        for zone in {zone.ogg: zone for zone in zones if zone.ogg}.values():
            self._decode(zone)

    def tone(self, zone: Zone, pitch: float, samples: int) -> np.ndarray:
        """`zone` at MIDI `pitch`, looped to at most `samples`, without envelope, float32."""
        ratio = zone.ratio * 2 ** (pitch * zone.scale / 1200)
        data = self._wave(zone)
        if not zone.loop:
            samples = min(samples, max(1, int((len(data) - 2) / ratio)))
        position = np.arange(samples) * ratio
        if zone.loop:
            start, end = zone.loop
            beyond = position >= end
            position[beyond] = start + np.mod(position[beyond] - start, end - start)
        index = np.minimum(position.astype(np.int64), len(data) - 1)
        following = index + 1
        if zone.loop:
            following[following >= end] = start
        fraction = (position - index).astype(np.float32)
        low, high = data[index].astype(np.float32), data[following].astype(np.float32)
        wave = (low + fraction * (high - low)) * np.float32(zone.gain / 32768)
        if zone.cutoff < 16000:
            wave = _low_pass(wave, zone.cutoff)
        return wave

    def _preset_zones(self, preset: int) -> Iterator[Zone]:
        """A preset's zones times the zones of the instruments that they name."""
        seen = itertools.count()
        for outer in self._bags("p", "phdr", preset, _INSTRUMENT, seen):
            for inner in self._bags("i", "inst", outer[_INSTRUMENT], _SAMPLE, seen):
                zone = self._zone(outer, inner)
                if zone is not None:
                    yield zone

    def _bags(self, kind, table, index, target, seen):
        """The settings of each zone that names a `target`, above those of the global zone."""
        first, last = self._span(table, index, "bag", kind + "bag")
        common: dict[int, int] = {}
        for bag in range(first, last):
            if next(seen) > _MOST_ZONES:
                raise self._damaged(f"a program of over {_MOST_ZONES} zones")
            settings = self._settings(kind, bag)
            if target in settings:
                yield {**common, **settings}
            elif bag == first:  # only the first zone can be global (section 7.3 and 7.7)
                common = settings

    def _settings(self, kind, bag):
        first, last = self._span(kind + "bag", bag, "generator", kind + "gen")
        if last - first > 256:
            raise self._damaged(f"{last - first} generators in one zone")
        return {
            number: value - 65536 if value > 32767 and number not in _UNSIGNED else value
            for number, value in self._tables[kind + "gen"][first:last].tolist()
        }

    def _span(self, table, index, field, into):
        """The records of `into` that a record of `table` and its follower enclose."""
        records = self._tables[table]
        if index + 1 >= len(records):
            raise self._damaged(f"number {index} of {len(records) - 1} in {table}")
        first, last = records[field][index : index + 2].tolist()
        if not first <= last < len(self._tables[into]):
            raise self._damaged(f"{table} points at {into} {first} to {last}")
        return first, last

    def _zone(self, preset, instrument):
        """One zone, or None if the key and velocity ranges of both levels do not meet."""
        keys, velocities = (
            _common(preset.get(number, 127 << 8), instrument.get(number, 127 << 8))
            for number in (_KEYS, _VELOCITIES)
        )
        if keys[0] > keys[1] or velocities[0] > velocities[1]:
            return None
        total = {
            number: min(max(instrument.get(number, default) + preset.get(number, 0), low), high)
            for number, (default, low, high) in _SUMMED.items()
        }
        sample = self._sample(instrument)
        root = instrument.get(_ROOT, 255)
        root = root if root <= 127 else sample["root"]
        root = root if root <= 127 else 60  # 255: unpitched
        scale = total[_SCALE]
        cents = 100 * total[_COARSE] + total[_FINE] + sample["correction"] - root * scale
        # Half of the filter envelope stands for its mean over a note.
        cutoff = total[_FILTER] + max(0, total[_MODENV_FILTER]) / 2
        return Zone(
            keys=keys,
            velocities=velocities,
            sample=sample["name"],
            start=sample["start"],
            end=sample["end"],
            loop=sample["loop"],
            ratio=2 ** (cents / 1200) * sample["rate"] / RATE,
            scale=scale,
            attack=2 ** (total[_ATTACK] / 1200),
            hold=2 ** (total[_HOLD] / 1200),
            decay=2 ** (total[_DECAY] / 1200),
            sustain=total[_SUSTAIN] / 10,
            release=2 ** (total[_RELEASE] / 1200),
            cutoff=8.176 * 2 ** (cutoff / 1200),
            # 0.4: as the hardware did, and every synthesiser since
            gain=10 ** (-0.4 * total[_ATTENUATION] / 200),
            pan=total[_PAN] / 500,
            ogg=sample["ogg"],
        )

    def _sample(self, settings):
        """A zone's sample: name, start, end, loop from its start, rate, root, correction, ogg."""
        headers = self._tables["shdr"]
        if settings[_SAMPLE] >= len(headers) - 1:
            raise self._damaged(f"sample {settings[_SAMPLE]} of {len(headers) - 1}")
        header = dict(zip(headers.dtype.names, headers[settings[_SAMPLE]].item()))
        header["name"] = name = header["name"].split(b"\0")[0].decode("latin-1")
        if not 400 <= header["rate"] <= 192000 or header["kind"] & _ROM:
            raise self._damaged(f"sample {name!r} has a rate of {header['rate']} Hz or is in a ROM")
        header["ogg"] = ()
        if header["kind"] & _COMPRESSED:
            # .sf3: start and end are bytes of the chunk, the loop counts from the sample's start.
            header["ogg"] = span = (header["start"], header["end"])
            if not 0 <= span[0] < span[1] <= len(self._smpl):
                raise self._damaged(f"sample {name!r} lies outside of the file")
            if span not in self._frames:
                self._frames[span] = self._open_ogg(name, span).frames
            header["start"], header["end"] = 0, self._frames[span]
        limit = header["end"] if header["ogg"] else len(self.samples)
        shift = {
            point: settings.get(fine, 0) + 32768 * settings.get(coarse, 0)
            for point, (fine, coarse) in _OFFSETS.items()
        }
        start, end = header["start"] + shift["start"], header["end"] + shift["end"]
        if not 0 <= start < end <= limit:
            raise self._damaged(f"sample {name!r} lies outside of the file")
        if end - start < 8:
            raise self._damaged(f"sample {name!r} has a length of {end - start}")
        loop = tuple(
            header[point] + shift[point] - (start if not header["ogg"] else shift["start"])
            for point in ("loop_start", "loop_end")
        )
        looped = settings.get(_MODE, 0) & 1  # 3 also plays on after the loop: its end is not heard
        if looped and not 0 <= loop[0] < loop[1] <= end - start:
            raise self._damaged(f"the loop of sample {name!r} lies outside of it")
        return {**header, "start": start, "end": end, "loop": loop if looped else ()}

    def _wave(self, zone):
        if not zone.ogg:
            return self.samples[zone.start : zone.end]
        if zone.ogg not in self._decoded:
            wave = self._decode(zone)
            while self._decoded and sum(map(len, self._decoded.values())) > _MOST_DECODED:
                del self._decoded[next(iter(self._decoded))]  # the oldest
            self._decoded[zone.ogg] = wave
        return self._decoded[zone.ogg][zone.start : zone.end]

    def _decode(self, zone):
        file = self._open_ogg(zone.sample, zone.ogg)
        with file, self._ogg_errors(zone.sample):
            wave = file.read(dtype="int16")
        if len(wave) != file.frames:
            raise self._damaged(f"the Ogg sample {zone.sample!r} ends early")
        return wave

    def _open_ogg(self, name, span):
        import soundfile

        with self._ogg_errors(name):
            file = soundfile.SoundFile(io.BytesIO(self._smpl[slice(*span)].tobytes()))
        if file.format != "OGG" or file.channels != 1 or not 0 < file.frames <= _MOST_FRAMES:
            raise self._damaged(
                f"sample {name!r} is {file.format}, {file.channels} channels, {file.frames} "
                f"values, not mono Ogg of at most {_MOST_FRAMES}"
            )
        return file

    @contextmanager
    def _ogg_errors(self, name):
        try:
            yield
        except (RuntimeError, OSError, ValueError):  # libsndfile's are RuntimeErrors
            raise self._damaged(f"the Ogg sample {name!r} cannot be decoded") from None

    def _chunks(self):
        """The chunks below the RIFF header and its lists, as views of the file."""
        data, found = self._bytes, {}
        if len(data) < 12 or data[:4].tobytes() != b"RIFF" or data[8:12].tobytes() != b"sfbk":
            raise SepkitError(f"{self.path}: is not a SoundFont; give an .sf2 or .sf3 file")
        stack = [(0, len(data))]
        while stack:
            position, end = stack.pop()
            while position + 8 <= end:
                name, size = struct.unpack_from("<4sI", data, position)
                if position + 8 + size > end:
                    raise self._damaged(
                        f"chunk {name.decode('latin-1')!r} ends after what holds it: truncated?"
                    )
                if name in (b"RIFF", b"LIST"):
                    stack.append((position + 12, position + 8 + size))
                else:
                    found[name.decode("latin-1")] = data[position + 8 : position + 8 + size]
                position += 8 + size
                if (
                    data[position : position + 4].tobytes() != b"LIST"
                ):  # .sf3 files lack the padding
                    position += size & 1
        missing = [name for name in ("smpl", *_RECORDS) if name not in found]
        if missing:
            raise self._damaged(f"chunk {missing[0]} is missing")
        return found

    def _table(self, name, data):
        layout = np.dtype(_RECORDS[name])
        count, rest = divmod(len(data), layout.itemsize)
        if rest or not 1 <= count <= _MOST_RECORDS:
            raise self._damaged(f"chunk {name} has {len(data)} bytes")
        return np.frombuffer(data.tobytes(), layout)

    def _damaged(self, what):
        return SepkitError(f"{self.path}: damaged SoundFont ({what}); get a good copy of the file")


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


def _common(one, other):
    """Where two ranges meet; each has its low end in the low byte, its high end in the other."""
    return max(one & 255, other & 255), min(one >> 8, other >> 8)
