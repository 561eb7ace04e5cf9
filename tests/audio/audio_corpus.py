"""Audio files in every format that sepkit reads, and what ffmpeg decodes of them."""

import shutil
import struct
import subprocess

import numpy as np
import soundfile

RATE = 44100
HAVE_FFMPEG = bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))
#: name: what ffmpeg is told after the input.
_BY_FFMPEG = dict(
    line.split(maxsplit=1)
    for line in """
u8.wav -c:a pcm_u8
s16.wav -c:a pcm_s16le
s24.wav -c:a pcm_s24le
s32.wav -c:a pcm_s32le
f32.wav -c:a pcm_f32le
f64.wav -c:a pcm_f64le
alaw.wav -c:a pcm_alaw
mulaw.wav -c:a pcm_mulaw
ima.wav -c:a adpcm_ima_wav
ms.wav -c:a adpcm_ms
rf64.wav -rf64 always
gsm.wav -c:a libgsm_ms -ar 8000 -ac 1
mp3.wav -c:a libmp3lame -b:a 96k
tagged.wav -metadata title=Song -write_id3v2 1
s16.w64 -c:a pcm_s16le
f32.w64 -c:a pcm_f32le
ms.w64 -c:a adpcm_ms
mulaw.w64 -c:a pcm_mulaw
s16.aiff -c:a pcm_s16be
s24.aiff -c:a pcm_s24be
f32.aiff -c:a pcm_f32be
alaw.aiff -c:a pcm_alaw
sowt.aiff -c:a pcm_s16le
s16.caf -c:a pcm_s16be
f32.caf -c:a pcm_f32le
alac.caf -c:a alac
mulaw.caf -c:a pcm_mulaw
s16.au -c:a pcm_s16be
f32.au -c:a pcm_f32be
mulaw.au -c:a pcm_mulaw
s16.flac -sample_fmt s16
s24.flac -sample_fmt s32
best.flac -compression_level 12
oga.oga -c:a flac
vorbis.ogg -c:a libvorbis -q:a 5
low.ogg -c:a libvorbis -q:a 0 -ac 1 -ar 16000
opus.opus -c:a libopus -b:a 96k
speech.opus -c:a libopus -b:a 16k -application voip
long.opus -c:a libopus -frame_duration 60
opus.ogg -c:a libopus
cbr.mp3 -b:a 128k -write_xing 0
cbr320.mp3 -b:a 320k
vbr.mp3 -q:a 4
vbr_bare.mp3 -q:a 4 -write_xing 0
abr.mp3 -b:a 96k -abr 1
abr_bare.mp3 -b:a 96k -abr 1 -write_xing 0
low.mp3 -b:a 8k -ar 24000 -ac 1
mpeg25.mp3 -b:a 8k -ar 8000 -ac 1 -write_xing 0
mono.mp3 -q:a 2 -ac 1
48k.mp3 -b:a 32k -ar 48000
id3v1.mp3 -q:a 4 -write_id3v1 1 -id3v2_version 0 -metadata title=Song
id3v2.mp3 -q:a 4 -id3v2_version 3 -metadata title=Song -write_xing 0
bare_cbr64.mp3 -b:a 64k -id3v2_version 0 -write_xing 0
layer2.mp2 -c:a mp2 -b:a 192k
aac.m4a -c:a aac
alac.m4a -c:a alac
fast.m4a -c:a aac -movflags +faststart
aac.mp4 -c:a aac
adts.aac -c:a aac
wma2.wma -c:a wmav2
opus.webm -c:a libopus
vorbis.webm -c:a libvorbis
flac.mka -c:a flac
pack.wv -c:a wavpack
aac.mov -c:a aac
""".strip().splitlines()
)
#: name: soundfile's format and subtype.
_BY_SOUNDFILE = {
    "ext.wav": ("WAVEX", "PCM_16"),
    "double.wav": ("WAVEX", "DOUBLE"),
    "float.rf64": ("RF64", "FLOAT"),
    "float.w64": ("W64", "FLOAT"),
    "alac24.caf": ("CAF", "ALAC_24"),
    "alaw.caf": ("CAF", "ALAW"),
    "lame.mp3": ("MP3", "MPEG_LAYER_III"),
    "xiph.ogg": ("OGG", "VORBIS"),
}
_INTO_A_PIPE = {
    "pipe.wav": "-f wav",
    "pipe.flac": "-f flac",
    "pipe.au": "-f au",
    "pipe.caf": "-f caf",
}


def music(seconds=1.5, seed=0, channels=2):
    """(samples, channels): tones that come and go over noise, so that frames differ in size."""
    rng, t = np.random.default_rng(seed), np.arange(int(seconds * RATE)) / RATE
    tones = sum(
        np.sin(2 * np.pi * f * t + i)[:, None] * rng.uniform(0.5, 1, channels)
        for i, f in enumerate((220, 331, 1250))
    )
    envelope = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 3 * t))[:, None]
    return (
        0.12 * envelope * tones
        + 0.02 * rng.standard_normal((len(t), channels)) * (t % 0.5 < 0.2)[:, None]
    )


def make(folder, seconds=1.5, names=None):
    """{name: path} of the corpus, or of some of its files; needs ffmpeg."""
    source = folder / "source.wav"
    soundfile.write(source, music(seconds), RATE, subtype="PCM_24")
    files = {}
    for name, options in {**_BY_FFMPEG, **_INTO_A_PIPE}.items():
        if names is not None and name not in names:
            continue
        path, piped = folder / name, name in _INTO_A_PIPE
        command = [
            "ffmpeg",
            "-v",
            "error",
            "-y",
            "-i",
            str(source),
            "-bitexact",
            *options.split(),
            "-" if piped else str(path),
        ]
        done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if piped:
            path.write_bytes(done.stdout)
        files[name] = path
    for name, (format, subtype) in _BY_SOUNDFILE.items():
        if names is None or name in names:
            files[name] = folder / name
            soundfile.write(files[name], music(seconds), RATE, subtype, format=format)
    for name, parts in _joined(folder).items():
        if names is None or name in names:
            (folder / name).write_bytes(b"".join(parts))
            files[name] = folder / name
    source.unlink()
    return files


def _joined(folder):
    """{name: parts}: files made of others, where those are there."""

    def of(name):
        return (folder / name).read_bytes() if (folder / name).exists() else b""

    return {
        "joined.mp3": (of("vbr.mp3"), of("cbr320.mp3")),
        "joined_bare.mp3": (of("cbr.mp3"), of("vbr_bare.mp3")),
        "joined_tags.mp3": (of("id3v2.mp3"), _id3v1(), of("id3v2.mp3"), _id3v1()),
        "apev2.mp3": (of("cbr.mp3"), _ape(), _id3v1()),
        "art.mp3": (_id3v2(b"\xff\xfb\x90\x64" * 9000), of("vbr_bare.mp3")),
        "padding.mp3": (of("vbr.mp3"), bytes(5000)),
        "padding_before.mp3": (bytes(700), of("cbr.mp3")),
        "radio.mp3": (of("bare_cbr64.mp3")[777:-55],),
        "chained.ogg": (of("vorbis.ogg"), of("vorbis.ogg")),
        "chained.opus": (of("opus.opus"), of("long.opus")),
    }


def _id3v1():
    return b"TAG" + b"Song".ljust(125, b"\0")


def _id3v2(data):
    size = len(data)
    return b"ID3\3\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + data


def _ape():
    item = struct.pack("<II", 4, 0) + b"Title\0Song"
    size = len(item) + 32

    def block(flags):
        return b"APETAGEX" + struct.pack("<IIII8x", 2000, size, 1, flags)

    return block(0xA0000000) + item + block(0x80000000)


def reference(path):
    """What ffmpeg decodes: (samples, channels), their rate, and its complaints; None: nothing.

    Opus is decoded by libopus, as in sepkit: ffmpeg's own decoder differs by up to -30 dB.
    """
    probe = [
        "ffprobe",
        "-v",
        "error",
        "-select_streams",
        "a:0",
        "-show_entries",
        "stream=codec_name,sample_rate,channels",
    ]
    told = (
        subprocess.run([*probe, "-of", "csv=p=0", f"file:{path}"], capture_output=True, text=True)
        .stdout.split("\n")[0]
        .split(",")
    )
    if len(told) != 3 or not all(told[1:]) or "0" in told[1:]:
        return None
    codec, rate, channels = told[0], int(told[1]), int(told[2])
    decoder = ["-c:a", "libopus"] if codec == "opus" else []
    command = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        *decoder,
        "-i",
        f"file:{path}",
        "-map",
        "0:a:0",
        "-ac",
        str(channels),
        "-ar",
        str(rate),
    ]
    done = subprocess.run([*command, "-f", "f32le", "-"], capture_output=True, timeout=60)
    data = np.frombuffer(
        done.stdout[: len(done.stdout) // (4 * channels) * 4 * channels], "<f4"
    ).reshape(-1, channels)
    return data, rate, done.stderr.decode(errors="replace")
