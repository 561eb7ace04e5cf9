"""The genres: tempi, progressions, drum patterns, bass lines and parts.

A drum or comping pattern is a bar of 16 steps: "." nothing, "o" soft, "x"
played, "X" accented. A bass line is a bar of 16 steps of chord degrees: "1"
root, "3", "5", "8" octave, "a" a step towards the next chord's root, "-" held.
A progression is one chord a bar in Roman numerals (lower case is minor). Every
list stands twice, for the train and the test songs, with nothing in common.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One instrument of the accompaniment: its program pool, how it plays and how loud (dB)."""

    name: str
    pool: str
    style: str  # chords | arpeggio | pad | line
    train: str  # 16-step patterns, for the songs of each split
    test: str
    low: int = 48  # the lowest pitch of its chords
    level: float = 0.0
    length: float = 0.9  # of a note, in units of its step
    drive: float = 0.0
    doubled: bool = False  # may be played twice, left and right
    chance: float = 1.0  # of being in the song

    @property
    def patterns(self) -> dict[str, list[str]]:
        """The patterns by split."""
        return {"train": self.train.split(), "test": self.test.split()}


@dataclass(frozen=True)
class Genre:
    """What the songs of a genre are made of."""

    tempo: tuple
    swing: tuple
    minor: float  # share of songs in minor
    progressions: dict  # split -> {"major": [...], "minor": [...]}
    drums: dict  # split -> list of {role: pattern}
    bass: dict  # split -> list of patterns
    bass_pool: str
    parts: tuple
    horns: bool = False
    density: float = 1.0  # of the melody


_POP = {
    "train": {
        "major": [
            "I V vi IV",
            "I IV V IV",
            "vi IV I V",
            "I vi IV V",
            "I I IV V",
            "I bVII IV I",
            "I iii IV V",
        ],
        "minor": ["i VI III VII", "i iv VI V", "i VII VI VII", "i i iv v", "VI VII i i"],
    },
    "test": {
        "major": ["IV V iii vi", "I ii IV V", "ii V I vi", "IV I V vi"],
        "minor": ["i III VII iv", "iv i V i", "i VI iv VII"],
    },
}
_JAZZ = {
    "train": {
        "major": ["ii7 V7 Imaj7 vi7", "Imaj7 vi7 ii7 V7", "iii7 vi7 ii7 V7", "I7 IV7 I7 V7"],
        "minor": ["i7 iv7 V7 i7", "i7 VI7 ii7 V7"],
    },
    "test": {
        "major": ["Imaj7 IV7 iii7 VI7", "ii7 V7 iii7 vi7"],
        "minor": ["iv7 VII7 IIImaj7 V7", "i7 VII7 VI7 V7"],
    },
}
_FUNK = {
    "train": {
        "major": ["I7 I7 IV7 I7", "I7 bVII7 IV7 I7"],
        "minor": ["i7 i7 iv7 i7", "i7 IV7 i7 IV7", "i7 VII7 VI7 V7"],
    },
    "test": {"major": ["I7 IV7 V7 IV7"], "minor": ["i7 VII7 iv7 VII7", "iv7 i7 iv7 V7"]},
}

ROCK = Genre(
    tempo=(96, 160),
    swing=(0.0, 0.1),
    minor=0.4,
    progressions=_POP,
    drums={
        "train": [
            {"kick": "X.....x.X.......", "snare": "....X.......X...", "hat": "X.x.X.x.X.x.X.x."},
            {"kick": "X..x..x.X.x.....", "snare": "....X..o....X...", "hat": "X.x.x.x.X.x.x.o."},
            {"kick": "X.x.....X.x...x.", "snare": "....X.......X..o", "ride": "X.x.X.x.X.x.X.x."},
            {
                "kick": "X...x...X...x...",
                "snare": "....X.......X...",
                "open": "..x...x...x...x.",
                "hat": "x...x...x...x...",
            },
            {"kick": "X.....X...X.....", "snare": "....X.......X...", "hat": "XoxoXoxoXoxoXoxo"},
        ],
        "test": [
            {"kick": "X....x..X.x..x..", "snare": "....X.......X...", "hat": "X.o.X.x.X.o.X.x."},
            {"kick": "X.X...X...X...x.", "snare": "....X.....o.X...", "ride": "X...X.x.X...X.x."},
            {"kick": "X.......X.xx....", "snare": "....X..o.o..X...", "open": "X...X...X...X..."},
        ],
    },
    bass={
        "train": ["1.1.1.1.1.1.1.1.", "1--.1.1.1--.1.a.", "1.....1.1.....5.", "1.1.1.5.1.1.8.5."],
        "test": ["1..1..1.1..1..a.", "1---..5.1---3.5.", "1.1.8.1.1.1.5.a."],
    },
    bass_pool="electric bass",
    parts=(
        Part(
            "rhythm guitar",
            "driven guitar",
            "power",
            "X.x.X.x.X.x.X.x. X.....x.X.....x. X--.X.x.X--.x.x. X-------X---X-x-",
            "X..x..x.X..x..x. X---..X.x---..x. X.xxX.x.X.xxX.x.",
            low=40,
            drive=0.7,
            doubled=True,
        ),
        Part(
            "second guitar",
            "clean guitar",
            "arpeggio",
            "x.x.x.x.x.x.x.x. x..x..x.x..x..x.",
            "x.xx..x.x.xx..x. ..x.x.x...x.x.x.",
            low=52,
            level=-4,
            length=2.0,
            drive=0.2,
            chance=0.6,
        ),
        Part(
            "organ",
            "organ",
            "pad",
            "X---------------",
            "X-------x-------",
            low=55,
            level=-8,
            chance=0.4,
        ),
    ),
)

BALLAD = Genre(
    tempo=(62, 88),
    swing=(0.0, 0.15),
    minor=0.4,
    progressions=_POP,
    drums={
        "train": [
            {"kick": "X.......x.x.....", "rim": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "X.....x.x.......", "snare": "....X.......X...", "ride": "x.o.x.o.x.o.x.o."},
            {"kick": "X......xx.......", "snare": "........X.......", "hat": "x.ooxoo.x.ooxoo."},
        ],
        "test": [
            {"kick": "X.........x..x..", "snare": "....X.......X..o", "hat": "x...x.o.x...x.o."},
            {"kick": "X...x.....x.....", "rim": "....X.......X...", "ride": "x...x...x...x.x."},
        ],
    },
    bass={
        "train": ["1-------1---5---", "1-----1-1-----a-", "1-----------5---"],
        "test": ["1-----5---8-5---", "1---------1-a---"],
    },
    bass_pool="electric bass",
    parts=(
        Part(
            "piano",
            "piano",
            "arpeggio",
            "x.x.x.x.x.x.x.x. X---x-x-X---x-x- x.xxx.x.x.xxx.x.",
            "x..x..x.x..x..x. X-x-x---X-x-x---",
            low=50,
            length=3.0,
        ),
        Part(
            "strings",
            "strings",
            "pad",
            "X---------------",
            "X-------x-------",
            low=55,
            level=-3,
            chance=0.8,
        ),
        Part(
            "guitar",
            "clean guitar",
            "chords",
            "X.....x.x.x...x. x.x.X.x.x.x.X.xx",
            "X...x.x...x.x.x. x..xX..xx..xX..x",
            low=48,
            level=-3,
            length=1.6,
            doubled=True,
            chance=0.6,
        ),
    ),
    density=0.8,
)

SKA = Genre(
    tempo=(120, 168),
    swing=(0.0, 0.4),
    minor=0.3,
    progressions=_POP,
    drums={
        "train": [
            {"kick": "........X.......", "rim": "........X.......", "hat": "x.X.x.X.x.X.x.X."},
            {"kick": "X...x...X...x...", "snare": "....X.......X...", "hat": "..X...X...X...X."},
            {
                "kick": "X.......X.......",
                "snare": "....X.......X..o",
                "open": "..X...X...X...X.",
                "pedal": "x...x...x...x...",
            },
        ],
        "test": [
            {"kick": "X...X...X...X...", "rim": "....X.......X...", "open": "..x...x...x...x."},
            {"kick": "....X.......X...", "snare": "....X.......X...", "hat": "xoX.xoX.xoX.xoX."},
        ],
    },
    bass={
        "train": ["1...3...5...3...", "1...5...8...5...", "1...3...5...a...", "1.1.3...5.5.a..."],
        "test": ["1...5...3...a...", "8...5...3...1...", "1.3.5...8.5.3..."],
    },
    bass_pool="electric bass",
    parts=(
        Part(
            "skank",
            "clean guitar",
            "chords",
            "..X...X...X...X. ..X...Xx..X...Xx",
            "..X..xX...X..xX. ..xX..X...xX..X.",
            low=57,
            length=0.7,
            drive=0.1,
            doubled=True,
        ),
        Part(
            "organ",
            "organ",
            "chords",
            "..xo..xo..xo..xo .xx..xx..xx..xx.",
            "..x.x.x...x.x.x. .x.x.x.x.x.x.x.x",
            low=55,
            level=-5,
            length=0.8,
            chance=0.8,
        ),
        Part(
            "piano",
            "piano",
            "chords",
            "..X...X...X...X.",
            "..X...x...X...x.",
            low=55,
            level=-4,
            length=0.8,
            chance=0.5,
        ),
    ),
    horns=True,
)

JAZZ = Genre(
    tempo=(96, 168),
    swing=(0.7, 1.0),
    minor=0.4,
    progressions=_JAZZ,
    drums={
        "train": [
            {
                "ride": "X...x.x.X...x.x.",
                "pedal": "....x.......x...",
                "kick": "o...o...o...o...",
                "snare": "......o.......o.",
            },
            {
                "ride": "X...X.x.X...X.x.",
                "pedal": "....x.......x...",
                "kick": "x.........x.....",
                "rim": "............x...",
            },
        ],
        "test": [
            {"ride": "X.x.x...X.x.x...", "pedal": "....X.......X...", "snare": "o.....o...o....."},
            {"hat": "x...X.x.x...X.x.", "snare": "x...x...x...x...", "kick": "x.....o.x......."},
        ],
    },
    bass={
        "train": ["1...3...5...a...", "1...5...3...a...", "8...5...3...a..."],
        "test": ["1...5...8...a...", "5...3...1...a..."],
    },
    bass_pool="upright bass",
    parts=(
        Part(
            "piano",
            "piano",
            "chords",
            "X.....x......... ...x......X..... X.........x...x.",
            "..X.......x..... X..x......X.....",
            low=52,
            length=1.8,
        ),
        Part(
            "vibraphone",
            "vibraphone",
            "arpeggio",
            "..x.x.....x.x...",
            "x..x....x..x....",
            low=60,
            level=-4,
            length=3.0,
            chance=0.4,
        ),
    ),
)

ELECTRO = Genre(
    tempo=(112, 136),
    swing=(0.0, 0.2),
    minor=0.7,
    progressions=_POP,
    drums={
        "train": [
            {
                "kick": "X...X...X...X...",
                "clap": "....X.......X...",
                "open": "..X...X...X...X.",
                "hat": "xoxoxoxoxoxoxoxo",
            },
            {"kick": "X...X...X...X..x", "snare": "....X.......X...", "hat": "..x...x...x...xx"},
        ],
        "test": [
            {"kick": "X..x..x.X..x..x.", "clap": "....X.......X...", "hat": "x.xxx.xxx.xxx.xx"},
            {"kick": "X...X...X..xX...", "snare": "....X..o....X...", "open": "..x...x...x...x."},
        ],
    },
    bass={
        "train": ["..1...1...1...1.", "1.8.1.8.1.8.1.8.", "1..1..1.1..1..8."],
        "test": ["1.1...1.8.1...1.", "..1.8.1...1.8.1."],
    },
    bass_pool="synth bass",
    parts=(
        Part(
            "arpeggiator",
            "synth",
            "arpeggio",
            "xxxxxxxxxxxxxxxx x.xxx.xxx.xxx.xx",
            "xx.xx.x.xx.xx.x. x.x.xxx.x.x.xxx.",
            low=60,
            length=0.8,
        ),
        Part("pad", "strings", "pad", "X---------------", "X-------X-------", low=52, level=-2),
        Part(
            "stabs",
            "synth",
            "chords",
            "X..X..X.....X... ..X...X...X...X.",
            "X.....X..X...... ...X..X....X..X.",
            low=57,
            level=-3,
            length=0.9,
            chance=0.6,
        ),
    ),
)

FUNK = Genre(
    tempo=(92, 118),
    swing=(0.0, 0.4),
    minor=0.6,
    progressions=_FUNK,
    drums={
        "train": [
            {"kick": "X.x.......x..x..", "snare": "....X..o.o..X..o", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "X..x..x...x.....", "snare": "....X.......X.o.", "hat": "xoxoxoxoxoxoxoxo"},
        ],
        "test": [
            {"kick": "X.....x..x..x...", "snare": "....X..o...oX...", "hat": "xxx.xxx.xxx.xxx."},
            {
                "kick": "Xx......x.x.....",
                "snare": "....X.o.....X..o",
                "open": "......x.......x.",
                "hat": "x.x.x...x.x.x...",
            },
        ],
    },
    bass={
        "train": ["1..1..8...1.5.8.", "1.....1.8..1..a.", "11..8...1.1.5.a."],
        "test": ["1...8.1..1..5.8.", "1.1...8..1.8..a."],
    },
    bass_pool="electric bass",
    parts=(
        Part(
            "scratch guitar",
            "clean guitar",
            "chords",
            "xoxoXoxoxoxoXoxo ..xoX.xo..xoX.xo",
            "x.xoXox.x.xoXox. .xo.Xoxo.xo.Xoxo",
            low=57,
            length=0.5,
            drive=0.1,
            doubled=True,
        ),
        Part(
            "clavinet",
            "clavinet",
            "arpeggio",
            "x.xx..x.x.x..xx.",
            "xx..x.x.xx..x.x.",
            low=50,
            level=-3,
            length=0.7,
            chance=0.7,
        ),
        Part(
            "organ",
            "organ",
            "pad",
            "X---------------",
            "X-------x-------",
            low=57,
            level=-7,
            chance=0.5,
        ),
    ),
    horns=True,
)

GENRES = {
    "rock": ROCK,
    "ballad": BALLAD,
    "ska": SKA,
    "jazz": JAZZ,
    "electro": ELECTRO,
    "funk": FUNK,
}

# Where the horns play when they do not follow the melody, best places first.
HORN_STEPS = {
    "train": [6, 14, 2, 10, 0, 7, 15, 3, 11, 4, 12, 8],
    "test": [3, 11, 6, 0, 14, 8, 2, 10, 5, 13, 4, 12],
}
FILLS = {
    "train": [
        {"snare": "............xxxx"},
        {"snare": "........x.x.", "high tom": "............x.x.", "low tom": "..............xx"},
    ],
    "test": [
        {"snare": "..........x.x.xX"},
        {"high tom": "........xx..", "low tom": "............xxxx"},
    ],
}
