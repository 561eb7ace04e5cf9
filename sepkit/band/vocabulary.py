"""Words to sing: everyday ones, in a random order; those of the test songs are not in train."""

from ..errors import SepkitError, unknown

_TRAIN = """
again alone along always answer anyway apple around arrow asleep autumn awake away baby balcony ballad beautiful before
begin behind believe below beside better between bicycle bitter blossom borrow bottle bottom bright bring broken brother
bubble butter button call candle carry castle chance change cherry chimney circle city clear climb close cloud coffee
cold colour come copper corner count country cover crazy crowd dance danger daylight dear deep delay distance door
double down dream drive early easy echo eleven empty engine even evening ever every eyes faces falling family far
farewell father feather feeling fellow fever fields final find finger fire floating flower fly follow forest forever
forget forgive found freedom friday garden gather gentle give glory go golden gone grow guitar hand happy harbour heart
heaven heavy hello hidden higher hold holiday hollow home honey hope horizon hour hundred hungry hurry idea inside into
island january keep kitchen kiss know ladder laughing learn leave lemon lesson letter linger listen little living
lonely long look lose love lovely magic many marching maybe meadow melody memory midnight mirror moment monday money moon
morning mother mountain move music never new night nobody north nothing now number ocean only open orange over paper
parade people picture pilot planet play please pocket promise question quiet rain rainbow read ready remember rhythm
river road rolling roses runaway running sailing salty same saturday secret seven shadow shelter shine shining shore
silence silver simple sister sky sleeping slowly smile snow somebody song sorrow south stairs station stay still stone
story stranger street suddenly sugar summer sun sweet table take talking tall tell thunder ticket time tiny today together
tomorrow tonight touch tower travel true trying turning under until upon valley velvet very violin voice waiting walking
wander water wave weather welcome whisper wild window winter wishes wonder yellow yesterday young
"""

_TEST = """
afternoon ago almond anchor another april ashes atlas august avenue baker barley basement battery beacon berry blanket blue
boulevard bread bridge brown camera canyon captain carnival cellar chapel chorus cinema clover comet compass cotton
counting cousin curtain daisy december desert diamond dinner doctor drifting drumming dusty eagle easter electric
emerald falcon fashion festival fiddle foggy fountain galaxy gallery ginger glass goodbye gravity green hammer harvest
hazel hero highway hotel jacket journey juniper kettle lantern lavender leather library lion lullaby mango marble market
meeting message mellow miracle motor museum mystery needle neon november orchard organ painter pebble pepper
perfume pillow pony postcard puzzle railway razor rescue ribbon robin rocket rusty satellite scarlet season shepherd
shoulder sidewalk signal slipping spider spinning spirit spring stable starlight storm sunday swallow tango temple
theatre tiger timber tomato traffic treasure tulip tuesday tunnel umbrella uncle vanilla village vintage wagon whistle
willow wooden zebra zero
"""

_WORDS = {"train": tuple(_TRAIN.split()), "test": tuple(_TEST.split())}


def words(split):
    """All words that the songs of a split may use.

    Parameters
    ----------
    split : {"train", "test"}

    Returns
    -------
    list of str

    Raises
    ------
    SepkitError
        For another split.
    """
    if split not in _WORDS:
        raise unknown("split", split, _WORDS)
    return list(_WORDS[split])


def draw_words(rng, split, count):
    """Draw `count` words: a verse of different words whose second half comes again, as a refrain would.

    Parameters
    ----------
    rng : numpy.random.Generator
    split : {"train", "test"}
    count : int

    Returns
    -------
    list of str

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
