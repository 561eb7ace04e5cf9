"""One song: from a plan of a few numbers to four stems."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from . import composition, fonts, instruments, mixing
from .genres import GENRES
from .instruments import Hit
from .knobs import Knobs
from .vocals import Vocals

RATE = 44100
# Each has its own child of the song's seed. The order is part of the data set: append only.
_STREAMS = ("grid", "melody", "drums", "bass", "other", "horns", "vocals", "beatbox", "mix", "tape")
_FIRST = """
Amber Autumn Blue Broken Copper Crystal Distant Electric Empty Golden Gentle Hidden Hollow
Ivory Little Lonely Lucky Midnight Northern Paper Quiet Restless Silver Velvet
""".split()
_SECOND = """
Arrow Avenue Bridge Circle Corner Engine Garden Harbour Highway Island Kitchen Ladder
Lantern Letter Mirror Morning Mountain Ocean Parade Postcard River Shadow Station Window
""".split()


@dataclass(frozen=True)
class Plan:
    """All that decides how a song sounds."""

    split: str
    index: int
    genre: str
    seconds: float
    seed: int
    voice: str = "dsp"  # "espeak" or "dsp"
    instruments: str = "dsp"  # "sampled" or "dsp"
    knobs: Knobs = field(default_factory=Knobs)
    soundfonts: tuple[str, ...] = ()  # paths, for "sampled"; none: the bundled font

    def stream(self, name: str) -> np.random.Generator:
        """The random generator of one part of this song."""
        key = (("train", "test").index(self.split), self.index, _STREAMS.index(name))
        return np.random.default_rng(np.random.SeedSequence(entropy=self.seed, spawn_key=key))

    @property
    def backend(self) -> str | tuple[str, ...]:
        """What plays the notes: `instruments`, or the song's SoundFont and then its stand-ins."""
        if not self.soundfonts:
            return self.instruments
        key = [self.seed, ("train", "test").index(self.split), self.index, 78]
        return fonts.draw(self.soundfonts, np.random.default_rng(key))

    @property
    def name(self) -> str:
        """The song's folder: split, number, genre and two words."""
        rng = np.random.default_rng(
            [self.seed, ("train", "test").index(self.split), self.index, 77]
        )
        words = _FIRST[rng.integers(len(_FIRST))], _SECOND[rng.integers(len(_SECOND))]
        return f"{self.split}-{self.index:03d}-{self.genre}-{words[0]}-{words[1]}".lower()


def make(plan: Plan) -> tuple[dict, dict]:
    """Render a song.

    Returns
    -------
    stems : dict of str to ndarray
        drums, bass, other, vocals: (2, samples) int16, 44.1 kHz
    facts : dict
        What was drawn: tempo, key, kit, programs, levels, ... (for the manifest).
    """
    samples, knobs = round(plan.seconds * RATE), plan.knobs
    grid = composition.make_grid(plan.stream("grid"), plan.genre, plan.split, plan.seconds, knobs)
    vocals = Vocals(plan.stream("vocals"), plan.split, knobs, plan.voice)
    tune = composition.melody(plan.stream("melody"), grid, vocals.singer.centre)
    # Every stem's tone is drawn in a fixed order, whatever the knobs say.
    mix = plan.stream("mix")
    tones = {stem: mixing.draw_tone(mix, stem, knobs.reverb) for stem in mixing.STEMS}
    bus = mixing.draw_bus(mix)
    facts = {
        "genre": plan.genre,
        "tempo": grid.tempo,
        "key": grid.key,
        "mode": grid.mode,
        "swing": grid.swing,
        "progression": grid.progression,
        "melody_notes": len(tune),
        **vocals.facts,
    }
    dry = {"vocals": vocals.sing(tune, grid, samples)}
    if plan.soundfonts:
        facts["soundfont"] = Path(plan.backend[0]).name
    if knobs.a_cappella:
        dry["vocals"] = dry["vocals"] + _beatbox(plan, grid, samples)
        facts["a_cappella"] = True
    else:
        dry["drums"], facts["kit"] = _drums(plan, grid, samples)
        dry["bass"], facts["bass"] = _bass(plan, grid, samples)
        dry["other"], more = _other(plan, grid, tune, samples)
        facts.update(more)
    stems = _mix(plan, dry, tones, bus, mix)
    facts["tones"] = {stem: _rounded(asdict(tone)) for stem, tone in tones.items()}
    facts["bus"] = _rounded(asdict(bus))
    return stems, facts


def _mix(plan, dry, tones, bus, rng):
    """The stems as they leave the studio; a stem that is missing is silent."""
    samples, knobs = dry["vocals"].shape[1], plan.knobs
    narrow = max(knobs.old_recording, 0.5 * knobs.lo_fi)
    wet = {stem: mixing.shape(audio, tones[stem], narrow) for stem, audio in dry.items()}
    if "other" in wet and knobs.old_recording > 0:
        noise = mixing.hiss(rng, samples, knobs.old_recording)
        wet["other"] = mixing.normalise(wet["other"], mixing.LEVELS["other"]) + noise
    if knobs.lo_fi > 0:
        wet = mixing.tape(plan.stream("tape"), wet, knobs.lo_fi)
    gain = mixing.bus_gain(wet, bus, samples)
    stems = {stem: np.zeros((2, samples), np.int16) for stem in mixing.STEMS}
    for stem, audio in wet.items():
        louder = getattr(knobs, f"{stem}_level")
        stems[stem] = mixing.finish(audio * gain, stem, tones[stem], louder, knobs.old_recording)
    if knobs.bleed > 0:
        stems.update(mixing.bleed({stem: stems[stem] for stem in wet}, knobs.bleed))
    return stems


def _rounded(facts):
    """For the manifest: three decimals, and without the seed of the reverb's noise."""
    if isinstance(facts, dict):
        return {name: _rounded(value) for name, value in facts.items() if name != "seed"}
    if isinstance(facts, (list, tuple)):
        return [_rounded(value) for value in facts]
    return round(float(facts), 3) if isinstance(facts, (int, float)) else facts


def _drums(plan, grid, samples):
    rng = plan.stream("drums")
    kit, hits = composition.drums(rng, grid)
    audio = instruments.drum(
        hits, kit, samples, rng, plan.backend, tuning=float(rng.normal(0, 1.2))
    )
    return audio, kit


def _bass(plan, grid, samples):
    rng = plan.stream("bass")
    line = composition.bass(rng, grid)
    wave = instruments.play(
        line.events,
        line.program,
        samples,
        rng,
        plan.backend,
        detune=float(rng.normal(0, 5)),
        spread=0.004,
    )
    wave = mixing.excite(wave, rng.uniform(-50, -38))
    return mixing.pan(mixing.drive(wave, max(0.0, rng.normal(0, 0.12))), 0.0), line.program


def _other(plan, grid, tune, samples):
    rng = plan.stream("other")
    lines = composition.accompaniment(rng, grid)
    audio = np.zeros((2, samples), np.float32)
    sounds = [_player(rng) for _ in GENRES[plan.genre].parts]
    for line, sound in zip(lines, sounds):
        audio += _perform(line, sound, samples, plan.backend)
    facts = {"programs": {line.part.name: line.program for line in lines}}
    correlation = plan.knobs.horn_correlation
    if GENRES[plan.genre].horns or correlation is not None:
        rng = plan.stream("horns")
        drawn = float(np.round(rng.uniform(), 3))
        correlation = drawn if correlation is None else correlation
        section = composition.horns(rng, grid, tune, correlation)
        for line, sound in zip(section, [_player(rng) for _ in section]):
            audio += _perform(line, sound, samples, plan.backend)
        facts["horn_correlation"] = correlation
        facts["programs"].update({line.part.name: line.program for line in section})
    return audio, facts


def _player(rng):
    """How a player sounds in this song; drawn for absent parts too, so that none shifts another."""
    return {
        "seed": int(rng.integers(2**32)),
        "detune": float(rng.normal(0, 5)),
        "position": float(rng.uniform(-0.8, 0.8)),
        "doubled": bool(rng.random() < 0.6),
        "level": float(rng.normal(0, 1.5)),
        "drive": float(rng.uniform(0.5, 1.2)),
        "air": float(rng.uniform(-25, -15)),  # dB
    }


def _perform(line, sound, samples, backend):
    part, rng = line.part, np.random.default_rng(sound["seed"])
    twice = part.doubled and sound["doubled"]
    audio = np.zeros((2, samples), np.float32)
    for side in (-0.8, 0.8) if twice else (sound["position"],):
        detune = sound["detune"] + (4 * np.sign(side) if twice else 0)
        wave = instruments.play(
            line.events, line.program, samples, rng, backend, detune, 0.008 if twice else 0.005
        )
        wave = mixing.excite(mixing.drive(wave, part.drive * sound["drive"]), sound["air"])
        audio += mixing.pan(wave, side)
    return mixing.normalise(audio, 10 ** ((part.level + sound["level"]) / 20))


def _beatbox(plan, grid, samples):
    """The drum part spoken: "b", "k" and "ts" in the middle, under the lead voice."""
    rng = plan.stream("beatbox")
    _, hits = composition.drums(plan.stream("drums"), grid)
    roles = {
        "kick": "mouth kick",
        "low tom": "mouth kick",
        "high tom": "mouth kick",
        "snare": "mouth snare",
        "rim": "mouth snare",
        "clap": "mouth snare",
    }
    spoken = [
        Hit(hit.start, roles.get(hit.role, "mouth hat"), hit.velocity)
        for hit in hits
        if hit.velocity > 0.4
    ]
    audio = instruments.drum(spoken, "beatbox", samples, rng, "dsp")
    return mixing.normalise(audio.mean(axis=0, keepdims=True).repeat(2, axis=0), 0.07)
