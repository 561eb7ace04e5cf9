"""Who sings: everybody from bass to soprano, and nobody of the test songs in train."""

import dataclasses

import numpy as np
import pytest

from sepkit.band import espeak, flite, phonetics, singers, vocabulary, voice, world

needs_extra = pytest.mark.skipif(
    voice.available_engine() != "espeak", reason="needs the extra: pip install 'sepkit[band]'"
)


def draw(split, voices="mixed", count=400):
    return [singers.draw_singer(np.random.default_rng(k), split, voices) for k in range(count)]


def test_no_variant_and_no_language_of_the_test_songs_is_in_train():
    train, test = [*draw("train"), *draw("train", "natural")], draw("test")
    assert not {s.variant for s in train} & {s.variant for s in test}
    foreign = [{s.accent for s in group} - {*singers.ACCENTS} for group in (train, test)]
    assert not foreign[0] & foreign[1] and min(map(len, foreign)) >= 4
    assert len({s.variant for s in train}) > 60 and len({s.variant for s in test}) == 11


@pytest.mark.parametrize("split", ["train", "test"])
def test_singers_reach_from_bass_to_soprano(split):
    drawn = draw(split)
    shares = {r: np.mean([s.register == r for s in drawn]) for r in singers.REGISTERS}
    assert min(shares.values()) > 0.1
    for singer in drawn:
        (lowest, highest), (small, large) = singers.REGISTERS[singer.register]
        assert lowest <= singer.centre <= highest and small <= singer.formant <= large + 1e-3
    formants, centres = ([getattr(s, n) for s in drawn] for n in ("formant", "centre"))
    assert min(formants) < 0.83 and max(formants) > 1.2
    assert min(centres) < 47 and max(centres) > 68


def test_schools_differ_in_vibrato_and_glides():
    school = {name: [s for s in draw("train") if s.name.endswith(name)] for name in singers.SCHOOLS}
    assert min(map(len, school.values())) > 30
    depth, glide = (
        {name: np.mean([getattr(s, field) for s in group]) for name, group in school.items()}
        for field in ("vibrato_depth", "portamento")
    )
    assert depth["straight"] < 10 < depth["pop"] < depth["opera"]
    assert glide["slides"] > 1.5 * max(glide[n] for n in glide if n != "slides")


@pytest.mark.parametrize("voices", ["natural", "festival"])
def test_half_of_the_singers_are_recorded_in_train_alone(voices):
    recorded = singers.RECORDED[voices]
    assert draw("test", voices) == draw("test")
    drawn = [s.accent for s in draw("train", voices)]
    assert np.mean([accent in recorded for accent in drawn]) == pytest.approx(0.5, abs=0.1)
    assert set(recorded) <= set(drawn)
    assert not any(s.accent in recorded for s in draw("train"))


def test_other_recorded_voices_change_no_other_singer():
    """Who is not recorded is the same singer, whatever the voices are."""
    every = zip(*(draw("train", voices) for voices in ("mixed", "natural", "festival")))
    for mixed, natural, many in every:
        assert (natural.accent in flite.VOICES) == (many.accent in singers.RECORDED["festival"])
        assert natural.accent in flite.VOICES or mixed == natural == many


def test_the_same_generator_draws_the_same_singer():
    one, two = (singers.draw_singer(np.random.default_rng(5), "train") for _ in range(2))
    assert one == two and one != dataclasses.replace(one, centre=one.centre + 1)


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_accent_language_and_variant_says_words_that_can_be_sung(split):
    variants = {s.variant for s in draw(split, count=3000)}
    pool, rng = vocabulary.words(split), np.random.default_rng(0)
    for number, variant in enumerate(sorted(variants)):
        spoken = (*singers.ACCENTS, *singers.LANGUAGES[split])
        for accent in (spoken[number % len(spoken)], spoken[(number + 7) % len(spoken)]):
            words = sorted(pool[i] for i in rng.permutation(len(pool))[:5])
            said = espeak.speak(", ".join(words), accent + variant, fundamental=140)
            assert np.sqrt(np.mean(said.samples**2)) > 0.003, (accent, variant)
            for word, sounds in zip(words, world._segments(said, words), strict=True):
                assert phonetics.syllabify(word, sounds), (accent, variant, word)


@needs_extra
@pytest.mark.parametrize("language", [*singers.LANGUAGES["train"], *singers.LANGUAGES["test"]])
def test_a_language_gives_the_words_other_vowels(language):
    """Read by German rules, English words have German vowels; names of languages are no sounds."""
    words = sorted(vocabulary.words("train"))[:24]

    def vowels(voice):
        said = espeak.speak(", ".join(words), voice, fundamental=140)
        sounds = [s for word in world._segments(said, words) for s in word]
        assert all("(" not in s.symbol for s in sounds)
        return [s.symbol for s in sounds if s.kind == phonetics.VOWEL]

    there, here = vowels(language + "+m3"), vowels("en+m3")
    assert len(there) >= len(words) and sorted(there) != sorted(here)
