"""What is sung and said: words to sing, and sentences to speak.

No word that the test songs sing, and no noun, verb or adjective that the test speakers
say, occurs in train.
"""

import numpy as np

from ..errors import SepkitError, unknown

_TRAIN = """
again alone along always answer anyway apple around arrow asleep autumn awake away baby balcony
ballad beautiful before begin behind believe below beside better between bicycle bitter blossom
borrow bottle bottom bright bring broken brother bubble butter button call candle carry castle
chance change cherry chimney circle city clear climb close cloud coffee cold colour come copper
corner count country cover crazy crowd dance danger daylight dear deep delay distance door double
down dream drive early easy echo eleven empty engine even evening ever every eyes faces falling
family far farewell father feather feeling fellow fever fields final find finger fire floating
flower fly follow forest forever forget forgive found freedom friday garden gather gentle give glory
go golden gone grow guitar hand happy harbour heart heaven heavy hello hidden higher hold holiday
hollow home honey hope horizon hour hundred hungry hurry idea inside into island january keep
kitchen kiss know ladder laughing learn leave lemon lesson letter linger listen little living lonely
long look lose love lovely magic many marching maybe meadow melody memory midnight mirror moment
monday money moon morning mother mountain move music never new night nobody north nothing now number
ocean only open orange over paper parade people picture pilot planet play please pocket promise
question quiet rain rainbow read ready remember rhythm river road rolling roses runaway running
sailing salty same saturday secret seven shadow shelter shine shining shore silence silver simple
sister sky sleeping slowly smile snow somebody song sorrow south stairs station stay still stone
story stranger street suddenly sugar summer sun sweet table take talking tall tell thunder ticket
time tiny today together tomorrow tonight touch tower travel true trying turning under until upon
valley velvet very violin voice waiting walking wander water wave weather welcome whisper wild
window winter wishes wonder yellow yesterday young
"""

_TEST = """
afternoon ago almond anchor another april ashes atlas august avenue baker barley basement battery
beacon berry blanket blue boulevard bread bridge brown camera canyon captain carnival cellar chapel
chorus cinema clover comet compass cotton counting cousin curtain daisy december desert diamond
dinner doctor drifting drumming dusty eagle easter electric emerald falcon fashion festival fiddle
foggy fountain galaxy gallery ginger glass goodbye gravity green hammer harvest hazel hero highway
hotel jacket journey juniper kettle lantern lavender leather library lion lullaby mango marble
market meeting message mellow miracle motor museum mystery needle neon november orchard organ
painter pebble pepper perfume pillow pony postcard puzzle railway razor rescue ribbon robin rocket
rusty satellite scarlet season shepherd shoulder sidewalk signal slipping spider spinning spirit
spring stable starlight storm sunday swallow tango temple theatre tiger timber tomato traffic
treasure tulip tuesday tunnel umbrella uncle vanilla village vintage wagon whistle willow wooden
zebra zero
"""

_SUNG = {"train": tuple(_TRAIN.split()), "test": tuple(_TEST.split())}


def words(split: str) -> list[str]:
    """All words that the songs of a split, "train" or "test", may use."""
    if split not in _SUNG:
        raise unknown("split", split, _SUNG)
    return list(_SUNG[split])


def draw_words(rng: np.random.Generator, split: str, count: int) -> list[str]:
    """Draw `count` words: a verse of different words, whose second half comes again as a refrain.

    Raises
    ------
    SepkitError
        For an unknown split or a count below 1.
    """
    pool = words(split)
    if count < 1:
        raise SepkitError(f"draw_words: count is {count}; ask for at least one word")
    verse = [pool[i] for i in rng.permutation(len(pool))[: min(count, 24)]]
    refrain = verse[len(verse) // 2 :]
    drawn = list(verse)
    while len(drawn) < count:
        fresh = [pool[i] for i in rng.integers(len(pool), size=len(refrain))]
        drawn += refrain + fresh
    return drawn[:count]


_OPENINGS = (
    "today, later, every evening, on the way home, in the morning, before the rain, as always, "
    "after a while"
).split(", ")
_JOINTS = ("and then", "but", "while", "because", "so")
#: nouns, verbs with their prepositions, and adjectives; those of test are not in train
SPOKEN = {
    "train": (
        """
        teacher window letter river garden train station dog neighbour table kitchen boat
        bridge story market winter song bottle doorway farmer engine desert pocket ladder
        blanket forest mirror village
        """.split(),
        (
            "looks at, waits for, talks about, walks past, remembers, finds, carries, "
            "paints, listens to, moves towards"
        ).split(", "),
        """
        old quiet green heavy narrow bright little strange wooden friendly cold empty distant
        simple
        """.split(),
    ),
    "test": (
        """
        doctor chair camera bicycle ocean hotel bird museum office corner lantern captain
        valley cousin theatre basket harbour soldier ticket mountain piano sailor tower
        orchard newspaper
        """.split(),
        (
            "points to, asks about, runs into, photographs, forgets, repairs, borrows, "
            "draws, sings of, leaves"
        ).split(", "),
        """
        young noisy yellow gentle broad dark tiny famous golden angry warm crowded nearby
        careful
        """.split(),
    ),
}


def compose(rng: np.random.Generator, split: str, count: int) -> str:
    """At least `count` words in sentences: "In the morning, the old teacher waits for a train."

    Raises
    ------
    SepkitError
        For another split.
    """
    if split not in SPOKEN:
        raise unknown("split", split, SPOKEN)
    nouns, verbs, adjectives = SPOKEN[split]
    text: list[str] = []

    def clause():
        first, second = rng.choice(len(nouns), 2, replace=False)
        articles = [("the", "a")[rng.integers(2)] for _ in range(2)]
        one, two = (
            adjectives[rng.integers(len(adjectives))] + " " if rng.random() < 0.6 else ""
            for _ in range(2)
        )
        verb = verbs[rng.integers(len(verbs))]
        return f"{articles[0]} {one}{nouns[first]} {verb} {articles[1]} {two}{nouns[second]}"

    while len(" ".join(text).split()) < count:
        sentence = clause()
        if rng.random() < 0.4:
            sentence = f"{_OPENINGS[rng.integers(len(_OPENINGS))]}, {sentence}"
        if rng.random() < 0.3:
            sentence += f", {_JOINTS[rng.integers(len(_JOINTS))]} {clause()}"
        text.append(sentence[0].upper() + sentence[1:] + ".")
    return _articles(" ".join(text))


def _articles(text):
    words = text.split(" ")
    for index, word in enumerate(words[:-1]):
        if word in ("a", "A") and words[index + 1][0] in "aeiou":
            words[index] = word + "n"
    return " ".join(words)
