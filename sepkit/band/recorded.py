"""A voice that is built from recordings of a person."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RecordedVoice:
    """What is known of it; `register` is one that `singers` knows, "low" or "high"."""

    register: str
    language: str
    package: str  # of Debian
    licence: str  # in short; the package has it in full
    rate: int = 16000  # Hz, of the recordings

    @property
    def bandwidth(self) -> float:
        """Hz; nothing above is left of the recordings at 22,050 Hz, which words are spoken at."""
        return min(self.rate * 19 / 40, 9500.0)
