"""What a song may draw, by split: nothing of the test songs occurs in train.

Programs are General MIDI numbers, or names of plain timbres. Two numbers of
one pool pair share no samples worth hearing (the font's Piano 1 and 2, for
example, are one recording, so both stand on the same side).
"""

# A kit maps each role to layers: (gain, "font", drum kit, key) or (gain, "plain", sound, settings).
# The noise layers give the font's 22 kHz cymbals the top they lack.


def _metal(gain, **settings):
    return (gain, "plain", "metal", settings)


def _plain(gain, name, **settings):
    return (gain, "plain", name, settings)


_TRAIN_METAL = {
    "hat": [(1.0, "font", 0, 42), _metal(0.22, decay=0.035, cutoff=8000.0, tone=0.2)],
    "pedal": [(0.9, "font", 0, 44), _metal(0.15, decay=0.03, cutoff=6000.0)],
    "open": [(0.8, "font", 0, 46), _metal(0.22, decay=0.22, cutoff=7500.0, tone=0.2)],
    "ride": [(0.9, "font", 0, 51), _metal(0.15, decay=0.45, cutoff=6500.0, tone=0.35, base=510.0)],
    "crash": [(0.8, "font", 0, 49), _metal(0.38, decay=0.8, cutoff=4500.0, tone=0.12)],
}
_TRAIN_TOMS = {"high tom": [(1.0, "font", 0, 48)], "low tom": [(1.0, "font", 0, 43)]}
_TRAIN_REST = {
    "rim": [(1.00, "font", 0, 37)],
    "clap": [(1.00, "font", 0, 39)],
    **_TRAIN_METAL,
    **_TRAIN_TOMS,
}

_MACHINE_A = {
    "kick": [_plain(0.80, "kick", low=46.0, high=150.0, decay=0.28, click=0.2)],
    "snare": [_plain(1.35, "snare", tone=180.0, buzz=0.12, balance=0.65)],
    "rim": [_plain(1.04, "stick", base=1650.0)],
    "clap": [_plain(1.17, "clap")],
    "hat": [_metal(0.28, decay=0.03, cutoff=8000.0, tone=0.5)],
    "pedal": [_metal(0.4, decay=0.02, cutoff=7500.0, tone=0.5)],
    "open": [_metal(0.28, decay=0.2, cutoff=8000.0, tone=0.5)],
    "ride": [_metal(0.25, decay=0.4, cutoff=6000.0, tone=0.6, base=540.0)],
    "crash": [_metal(0.42, decay=0.7, cutoff=5000.0, tone=0.15)],
    "high tom": [_plain(0.9, "tom", base=160.0)],
    "low tom": [_plain(0.9, "tom", base=90.0)],
}

_TEST_METAL = {
    "hat": [_metal(0.33, decay=0.05, cutoff=6800.0, tone=0.1, base=330.0)],
    "pedal": [_metal(0.28, decay=0.035, cutoff=5200.0, tone=0.1, base=330.0)],
    "open": [_metal(0.26, decay=0.32, cutoff=6200.0, tone=0.1, base=330.0)],
    "ride": [_metal(0.22, decay=0.6, cutoff=5600.0, tone=0.45, base=620.0)],
    "crash": [_metal(0.45, decay=1.1, cutoff=3600.0, tone=0.05)],
}
_TEST_REST = {
    "rim": [_plain(1.17, "stick", base=2050.0, decay=0.009)],
    "clap": [_plain(1.17, "clap", cutoff=1200.0, decay=0.12)],
    "high tom": [_plain(0.9, "tom", base=205.0, decay=0.26)],
    "low tom": [_plain(0.9, "tom", base=120.0, decay=0.3)],
    **_TEST_METAL,
}

KITS = {
    "standard": {"kick": [(1.12, "font", 0, 36)], "snare": [(1.50, "font", 0, 38)], **_TRAIN_REST},
    "power": {
        "kick": [(1.04, "font", 16, 36), _plain(0.32, "kick", low=52.0, decay=0.12, click=0.5)],
        "snare": [(1.65, "font", 16, 38), _plain(0.38, "snare", tone=200.0, buzz=0.16)],
        **_TRAIN_REST,
    },
    "jazz": {
        "kick": [(0.88, "font", 0, 35)],
        "snare": [
            (1.35, "font", 0, 40),
            _plain(0.22, "snare", buzz=0.2, cutoff=2500.0, balance=0.9),
        ],
        **_TRAIN_REST,
    },
    "dry": {
        "kick": [
            (0.96, "font", 0, 36),
            _plain(0.40, "kick", low=58.0, high=210.0, decay=0.1, click=0.6),
        ],
        "snare": [
            _plain(1.35, "snare", tone=215.0, ring=0.05, buzz=0.09, balance=0.55),
            (0.60, "font", 0, 40),
        ],
        **_TRAIN_REST,
    },
    "machine": _MACHINE_A,
    # test only
    "garage": {
        "kick": [_plain(0.80, "kick", low=64.0, high=260.0, sweep=0.02, decay=0.14, click=0.7)],
        "snare": [
            (1.50, "font", 24, 38),
            _plain(0.60, "snare", tone=240.0, ring=0.11, buzz=0.2, cutoff=1400.0),
        ],
        **_TEST_REST,
    },
    "brush": {
        "kick": [_plain(0.72, "kick", low=66.0, high=120.0, sweep=0.04, decay=0.16, click=0.1)],
        "snare": [
            (1.65, "font", 40, 38),
            _plain(0.22, "snare", tone=260.0, buzz=0.25, cutoff=3000.0, balance=0.95),
        ],
        **_TEST_REST,
    },
    "eight-o-eight": {
        "kick": [_plain(0.80, "kick", low=41.0, high=95.0, sweep=0.05, decay=0.42, click=0.05)],
        "snare": [(1.80, "font", 25, 38)],
        **_TEST_REST,
        "hat": [
            (1.0, "font", 25, 42),
            _metal(0.1, decay=0.06, cutoff=6800.0, tone=0.1, base=330.0),
        ],
    },
}

# A mouth: no shell, no metal. Used for a cappella songs of both splits.
KITS["beatbox"] = {
    "mouth kick": [_plain(1.0, "kick", low=75.0, high=190.0, sweep=0.025, decay=0.07, click=0.25)],
    "mouth snare": [
        _plain(1.0, "snare", tone=330.0, ring=0.02, buzz=0.07, cutoff=1200.0, balance=0.85)
    ],
    "mouth hat": [_metal(0.7, decay=0.04, cutoff=5500.0, tone=0.0)],
}

KITS_BY_GENRE = {
    "rock": {"train": ["standard", "power", "dry"], "test": ["garage"]},
    "ballad": {"train": ["standard", "jazz", "dry"], "test": ["brush", "garage"]},
    "ska": {"train": ["standard", "dry", "power"], "test": ["garage"]},
    "jazz": {"train": ["jazz", "standard"], "test": ["brush"]},
    "electro": {"train": ["machine", "power"], "test": ["eight-o-eight"]},
    "funk": {"train": ["dry", "standard", "machine"], "test": ["garage", "eight-o-eight"]},
}

PROGRAMS = {
    "driven guitar": {"train": [30, 27], "test": [29]},
    "clean guitar": {"train": [27, 25], "test": [26, 24]},
    "piano": {"train": [0, 4], "test": [2, 5]},
    "organ": {"train": [16, 18], "test": [17, 20]},
    "strings": {"train": [48, 89], "test": [44, 50]},
    "clavinet": {"train": [7, 25], "test": [28, 6]},
    "vibraphone": {"train": [11], "test": [12]},
    "synth": {"train": [81, "saw-lead", 62], "test": [80, "square-lead", 63]},
    "electric bass": {"train": [33, 34], "test": [35, 37]},
    "upright bass": {"train": [32, 33], "test": [35]},
    "synth bass": {"train": [38, "saw-bass"], "test": ["square-bass"]},
    "high horn": {"train": [56, 65], "test": [59, 64, 61]},
    "low horn": {"train": [57, 67], "test": [66, 60]},
}
