"""What the speakers say: plain sentences, with words of their own for each split."""

from ..errors import unknown

_OPENINGS = (
    "today",
    "later",
    "every evening",
    "on the way home",
    "in the morning",
    "before the rain",
    "as always",
    "after a while",
)
_JOINTS = ("and then", "but", "while", "because", "so")
#: nouns, verbs with their prepositions, and adjectives; those of test are not in train
WORDS = {
    "train": (
        "teacher window letter river garden train station dog neighbour table kitchen boat bridge story market winter".split()
        + "song bottle doorway farmer engine desert pocket ladder blanket forest mirror village".split(),
        (
            "looks at",
            "waits for",
            "talks about",
            "walks past",
            "remembers",
            "finds",
            "carries",
            "paints",
            "listens to",
            "moves towards",
        ),
        "old quiet green heavy narrow bright little strange wooden friendly cold empty distant simple".split(),
    ),
    "test": (
        "doctor chair camera bicycle ocean hotel bird museum office corner lantern captain valley cousin".split()
        + "theatre basket harbour soldier ticket mountain piano sailor tower orchard newspaper".split(),
        (
            "points to",
            "asks about",
            "runs into",
            "photographs",
            "forgets",
            "repairs",
            "borrows",
            "draws",
            "sings of",
            "leaves",
        ),
        "young noisy yellow gentle broad dark tiny famous golden angry warm crowded nearby careful".split(),
    ),
}


def compose(rng, split, count):
    """At least `count` words in sentences such as "In the morning, the old teacher waits for a bright train."

    Parameters
    ----------
    rng : numpy.random.Generator
    split : {"train", "test"}
    count : int

    Returns
    -------
    str

    Raises
    ------
    SepkitError
        For another split.
    """
    if split not in WORDS:
        raise unknown("split", split, WORDS)
    nouns, verbs, adjectives = WORDS[split]
    text = []

    def clause():
        first, second = rng.choice(len(nouns), 2, replace=False)
        articles = [("the", "a")[rng.integers(2)] for _ in range(2)]
        one, two = (
            adjectives[rng.integers(len(adjectives))] + " " if rng.random() < 0.6 else ""
            for _ in range(2)
        )
        return f"{articles[0]} {one}{nouns[first]} {verbs[rng.integers(len(verbs))]} {articles[1]} {two}{nouns[second]}"

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
