"""Tiny SoundFonts, written by `build` and played by `play`, and what measures pitch."""

import io
import itertools
import struct

import numpy as np
import soundfile

from sepkit.band import instruments

RATE = 44100
# Generators of the format, by number
PAN, KEYS, VELOCITIES, ATTENUATION = 17, 43, 44, 48
COARSE, FINE, SAMPLE, MODE, SCALE, ROOT, INSTRUMENT = 51, 52, 53, 54, 56, 58, 41
LOOP_START, LOOP_END, START = 2, 3, 0


def span(low, high):
    return high << 8 | low


def sine(frequency, seconds=0.5, level=0.5):
    time = np.arange(int(seconds * RATE)) / RATE
    return np.round(level * 32767 * np.sin(2 * np.pi * frequency * time)).astype("<i2")


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def ogg(wave):
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, format="OGG", subtype="VORBIS")
    return file.getvalue()


def build(samples, zones, presets=None, compressed=False):
    """The bytes of a font.

    samples: dicts of wave, and of what differs from a sine at 440 Hz without a loop;
    zones: generators of one instrument, a dict per zone;
    presets: (program, bank, a dict of generators per zone), one preset 0 if not given.
    """
    presets = presets or [(0, 0, [{INSTRUMENT: 0}])]
    smpl, headers = b"", b""
    for index, sample in enumerate(samples):
        wave = sample["wave"]
        data = ogg(wave) if compressed else wave.tobytes()
        unit = 1 if compressed else 2
        start = len(smpl) // unit
        first, last = sample.get("loop", (0, len(wave)))
        shift = 0 if compressed else start  # an .sf3 counts from the sample's start
        header = {
            "start": start,
            "end": start + len(data) // unit,
            "loop_start": first + shift,
            "loop_end": last + shift,
            "rate": RATE,
            "root": sample.get("root", 69),
            "correction": sample.get("correction", 0),
            "link": 0,
            "kind": 1 | (16 if compressed else 0),
            **sample.get("header", {}),
        }
        headers += struct.pack("<20sIIIIIBbHH", b"sample %d" % index, *header.values())
        smpl += data + (b"" if compressed else bytes(92))
    headers += struct.pack("<20sIIIIIBbHH", b"EOS", *[0] * 9)
    phdr = pbag = pgen = ibag = igen = b""
    counts = itertools.count()
    for program, bank, bags in presets:
        phdr += struct.pack("<20sHHHIII", b"preset", program, bank, len(pbag) // 4, 0, 0, 0)
        for settings in bags:
            pbag += struct.pack("<HH", len(pgen) // 4, 0)
            pgen += generators(settings)
            next(counts)
    for settings in zones:
        ibag += struct.pack("<HH", len(igen) // 4, 0)
        igen += generators(settings)
    phdr += struct.pack("<20sHHHIII", b"EOP", 0, 0, len(pbag) // 4, 0, 0, 0)
    inst = struct.pack("<20sH20sH", b"instrument", 0, b"EOI", len(ibag) // 4)
    pbag += struct.pack("<HH", len(pgen) // 4, 0)
    ibag += struct.pack("<HH", len(igen) // 4, 0)
    pdta = b"".join(
        chunk(name, data)
        for name, data in (
            (b"phdr", phdr),
            (b"pbag", pbag),
            (b"pmod", bytes(10)),
            (b"pgen", pgen + bytes(4)),
            (b"inst", inst),
            (b"ibag", ibag),
            (b"imod", bytes(10)),
            (b"igen", igen + bytes(4)),
            (b"shdr", headers),
        )
    )
    info = chunk(b"ifil", struct.pack("<HH", 2, 4))
    lists = ((b"INFO", info), (b"sdta", chunk(b"smpl", smpl)), (b"pdta", pdta))
    return chunk(b"RIFF", b"sfbk" + b"".join(chunk(b"LIST", a + b) for a, b in lists))


def generators(settings):
    return b"".join(struct.pack("<HH", n, value & 65535) for n, value in settings.items())


def play(path, pitch=69, program=0, velocity=0.8, seconds=0.4):
    event = instruments.Event(0, seconds, pitch, velocity)
    rng = np.random.default_rng(0)
    return instruments.play([event], program, int(seconds * RATE), rng, (path,))


def peak(wave):
    """The frequency of the largest partial, by a parabola through three bins' logarithms."""
    part = wave[2000 : 2000 + 8192].astype(float)
    spectrum = np.log(np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 17)) + 1e-9)
    top = int(np.argmax(spectrum))
    a, b, c = spectrum[top - 1 : top + 2]
    return (top + 0.5 * (a - c) / (a - 2 * b + c)) * RATE / (1 << 17)


def cents(wave, frequency):
    return 1200 * np.log2(peak(wave) / frequency)


def track(wave, lowest, highest, frame=2048, hop=220):
    """Fundamental (Hz) on frames, by autocorrelation a parabola through the peak; times (s)."""
    starts = np.arange(0, len(wave) - frame, hop)
    frames = np.stack([wave[s : s + frame] for s in starts]) * np.hanning(frame)
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(frame), 2 * frame)) ** 2)[: frame // 2]
    r = np.fft.irfft(np.abs(np.fft.rfft(frames, 2 * frame)) ** 2)[:, : frame // 2] / window
    first, last = int(RATE / highest), int(RATE / lowest)
    lag = first + np.argmax(r[:, first:last], axis=1)
    a, b, c = (r[np.arange(len(r)), lag + d] for d in (-1, 0, 1))
    with np.errstate(all="ignore"):  # silent frames have no fundamental
        f0 = RATE / (lag + 0.5 * (a - c) / (a - 2 * b + c))
    return f0, (starts + frame / 2) / RATE


LOOPED = {"wave": sine(441.0), "loop": (1000, 2000), "correction": -4}  # ten periods of 441 Hz
GOOD = build([LOOPED], [{SAMPLE: 0, MODE: 1}])
GOOD_OGG = build([LOOPED], [{SAMPLE: 0, MODE: 1}], compressed=True)
