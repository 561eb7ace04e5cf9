"""Audio formats: which are read, and how each is looked at before its decoder gets it.

Decoders shorten what is cut off, guess lengths, and stop at joints, all without a word.
"""

#: The formats that can be read, and the suffixes of their files.
NATIVE = {
    "WAV": (".wav", ".wave", ".w64", ".rf64"),
    "FLAC": (".flac",),
    "MP3": (".mp3", ".mp2"),
    "Ogg": (".ogg", ".oga"),
    "Opus": (".opus",),
    "AIFF": (".aiff", ".aif", ".aifc"),
    "CAF": (".caf",),
    "AU": (".au", ".snd"),
}
#: Those that need ffmpeg.
THROUGH_FFMPEG = {
    "M4A": (".m4a", ".m4b"),
    "MP4": (".mp4", ".mov"),
    "AAC": (".aac",),
    "WMA": (".wma",),
    "WebM": (".webm",),
    "Matroska": (".mka", ".mkv"),
    "WavPack": (".wv",),
}
SUFFIXES = tuple(
    suffix for kind in (NATIVE, THROUGH_FFMPEG) for group in kind.values() for suffix in group
)
#: What help texts and messages say.
READABLE = f"{', '.join(NATIVE)}; through ffmpeg {', '.join(THROUGH_FFMPEG)}"
