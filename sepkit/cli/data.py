"""``sepkit data``: rendering, downloading and listing data sets."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import print_note, print_table, progress_bar
from ..runtime.interruption import resumes
from ..validation import Number
from .activity import activity
from .options import PLACE, SEED, WORKERS, Data, assignments, number, refuse_preset, refuse_unused
from .output import errors_in_one_line, print_json

app = typer.Typer(help="Render, download and list data sets.", no_args_is_help=True)

Root = Annotated[
    Path | None, typer.Option(help="Data root.", show_default="$SEPKIT_DATA, or data/", **PLACE)
]
_SONGS = number(Number(0, 100_000))


@app.command("list", epilog="Example: sepkit data list --json")
@errors_in_one_line
def list_(
    root: Root = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
):
    """Which data sets are found, and where."""
    from .doctor import found_data

    found = found_data(root)
    if as_json:
        return print_json([dict(zip(("name", "folder", "songs", "remedy"), row)) for row in found])
    rows = [
        (name, sum(songs.values()) or "-", folder, remedy) for name, folder, songs, remedy in found
    ]
    print_table("data sets", ("name", "songs", "folder", "what to do"), rows)


@app.command(
    epilog="Example: sepkit data band --root ska --train 0 --test 6 --genre ska "
    "--knob horn_correlation=0.8"
)
@errors_in_one_line
def band(
    context: typer.Context,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the songs; with --preset the data root.",
            show_default="data/band/student",
            **PLACE,
        ),
    ] = None,
    train: Annotated[int, typer.Option(help="Songs to train on.", **_SONGS)] = 24,
    test: Annotated[
        int, typer.Option(help="Songs to test on, of other voices, kits and patterns.", **_SONGS)
    ] = 8,
    seconds: Annotated[
        float, typer.Option(help="Length of a song.", **number(Number(2, 600, whole=False)))
    ] = 20.0,
    seed: Annotated[int, typer.Option(help="Same seed, same songs.", **SEED)] = 0,
    genre: Annotated[
        list[str] | None,
        typer.Option(help="May be repeated; genres take turns.", show_default="all of them"),
    ] = None,
    knob: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE, may be repeated; see --knobs.", show_default="drawn for each song"
        ),
    ] = None,
    soundfont: Annotated[
        list[str] | None,
        typer.Option(
            help="SoundFont (.sf2 or .sf3) by path, or by name if installed below /usr/share, "
            "such as FluidR3_GM; may be repeated: one is drawn per song.",
            show_default="the one of pretty_midi",
        ),
    ] = None,
    voice: Annotated[
        str, typer.Option(help="espeak (words, needs the extra band), dsp, or auto.")
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Processes.", show_default="one per core", **WORKERS)
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="smoke, student, paper or checkpoints: in place of the sizes above.",
            show_default=False,
        ),
    ] = None,
    knobs: Annotated[
        bool, typer.Option("--knobs", help="List the knobs and their ranges.")
    ] = False,
):
    """Render the embedded data set: songs with their stems, in MUSDB18-HQ layout.

    Run it again to go on after an interruption, or with more songs to add some.
    """
    resumes("finished songs are kept, and the same command goes on")
    from .. import band as generator
    from ..files import data_root

    own = ("train", "test", "seconds", "seed", "genre", "knob", "voice")
    if knobs:
        refuse_unused(context, "--knobs", "root", "workers", "preset", "soundfont", *own)
        rows = [
            (name, kind, _range(kind, allowed), what)
            for name, (kind, allowed, what) in generator.KNOBS.items()
        ]
        return print_table("knobs of the band", ("name", "kind", "range", "what it does"), rows)
    if preset is not None:
        refuse_unused(context, "--preset", *own)
        typer.echo(str(generator.ensure(preset, root, workers=workers, soundfonts=soundfont)))
        return None
    folder = root or data_root() / "band" / "student"
    given = generator.Knobs.of(**assignments(knob, "--knob")).given()
    typer.echo(
        str(
            generator.render(
                folder,
                train,
                test,
                seconds,
                seed,
                genre or None,
                workers,
                voice,
                soundfonts=soundfont,
                **given,
            )
        )
    )


@app.command(
    epilog="Example: sepkit data augment --data band --out band-x7, "
    "then: sepkit train --data band-x7"
)
@errors_in_one_line
def augment(
    context: typer.Context,
    out: Annotated[
        Path, typer.Option(help="New folder, or an unfinished one to go on with.", **PLACE)
    ],
    data: Data = "band",
    preset: Annotated[
        str | None, typer.Option(help="Size of the band.", show_default="student")
    ] = None,
    pitch: Annotated[str, typer.Option(help="Semitones, one version for each, or none.")] = "-2,2",
    speed: Annotated[str, typer.Option(help="Factors, one version for each, or none.")] = "0.9,1.1",
    shift: Annotated[str, typer.Option(help="Seconds, one version for each, or none.")] = "-1,1",
    speed_by: Annotated[
        str, typer.Option(help="stretch (the pitch stays) or resample (it moves along).")
    ] = "stretch",
    with_valid: Annotated[
        bool,
        typer.Option("--with-valid", help="Train on the validation songs and their versions too."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes.", show_default="one per core", **WORKERS)
    ] = None,
    root: Root = None,
):
    """Write further versions of every training song: other pitch, other speed, shifted in time.

    OUT is a whole data set, in which valid and test are unchanged. What it needs of the
    disk is said first. Run it again to go on after an interruption.
    """
    resumes("finished songs are kept, and the same command goes on")
    from ..datasets.augmentation import augment as write

    refuse_preset(context, data)
    amounts = {
        name: _numbers(text, f"--{name}")
        for name, text in (("pitch", pitch), ("speed", speed), ("shift", shift))
    }
    with progress_bar("augmenting songs") as update:
        folder = write(
            data,
            out,
            **amounts,
            speed_by=speed_by,
            with_valid=with_valid,
            preset=preset,
            root=root,
            workers=workers,
            progress=update,
            notice=print_note,
        )
    typer.echo(str(folder))


@app.command(
    epilog="Example: sepkit data librimix --type mix_both --rate 16k --mode min, "
    "then: sepkit evaluate --data librimix --separator mixture"
)
@errors_in_one_line
def librimix(
    root: Annotated[
        Path | None,
        typer.Option(
            help="Libri2Mix/ or Band2Mix/ lands here.", show_default="data/librimix", **PLACE
        ),
    ] = None,
    librispeech: Annotated[
        Path | None,
        typer.Option(
            help="Folder that holds LibriSpeech/.", show_default="the band's speakers", **PLACE
        ),
    ] = None,
    wham: Annotated[
        Path | None,
        typer.Option(help="Folder wham_noise.", show_default="rendered noises", **PLACE),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="mix_both, mix_clean or mix_single; may be repeated.",
            show_default="mix_both",
        ),
    ] = None,
    rate: Annotated[str, typer.Option(help="16k or 8k.")] = "16k",
    mode: Annotated[
        str, typer.Option(help="min ends with the shortest utterance, max with the longest.")
    ] = "min",
    speakers: Annotated[int, typer.Option(help="2 or 3.", **number(Number(2, 3)))] = 2,
    subset: Annotated[
        list[str] | None,
        typer.Option(
            help="train-360, train-100, dev, test of LibriSpeech; train, dev, test of the band; "
            "may be repeated.",
            show_default="all there are",
        ),
    ] = None,
    mixtures: Annotated[
        int | None,
        typer.Option(
            help="Of each subset.",
            show_default="as LibriMix; of the band 100, 20 and 20",
            **number(Number(1, 10**6)),
        ),
    ] = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(
            help="hum, music, babble or crowd, rendered; may be repeated.",
            show_default="all in turn",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same mixtures.", **SEED)] = 0,
    workers: Annotated[
        int | None, typer.Option(help="Processes.", show_default="one per 40 mixtures", **WORKERS)
    ] = None,
):
    """Make mixtures of speakers and noise as LibriMix does, of the types asked for only.

    What they need of the disk is said first, and checked. Run it again to go on after an
    interruption, or to add mixtures, subsets or types.
    """
    resumes("finished mixtures are kept, and the same command goes on")
    from ..datasets.librimix.making import make_librimix
    from ..files import data_root

    with progress_bar("making mixtures") as update:
        folder = make_librimix(
            root or data_root() / "librimix",
            kind or ("mix_both",),
            rate,
            mode,
            speakers,
            subset,
            mixtures,
            librispeech,
            wham,
            noise,
            seed,
            workers,
            progress=update,
            notice=print_note,
        )
    typer.echo(str(folder))


app.command(epilog="Example: sepkit data activity --data band --split train")(activity)


def _numbers(text, option):
    from ..errors import SepkitError

    try:
        return [] if text == "none" else [float(amount) for amount in text.split(",")]
    except ValueError:
        raise SepkitError(
            f"{option} {text}: give numbers with commas between them, or none"
        ) from None


@app.command(epilog="Example: sepkit data musdb7s")
@errors_in_one_line
def musdb7s(root: Root = None) -> None:
    """Download MUSDB18's free 7-second excerpts (144 songs, 140 MB): the smallest real data set."""
    from ..datasets import musdb18
    from ..errors import SepkitError
    from .doctor import FFMPEG, found_data

    folder, songs = next(
        (folder, songs) for name, folder, songs, _ in found_data(root) if name == "musdb7s"
    )
    if not songs:
        if musdb18.ffmpeg_missing():
            raise SepkitError(
                f"MUSDB18's .stem.mp4 files need ffmpeg, which is not installed; run: {FFMPEG}"
            )
        musdb18.fetch_excerpts(folder)
    typer.echo(str(folder))


def _range(kind, allowed):
    return (
        f"{allowed[0]:g} ... {allowed[1]:g}"
        if kind in ("number", "integer")
        else ", ".join(map(str, allowed)).lower()
    )
