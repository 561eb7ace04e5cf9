"""A blind comparison of sounds in pairs, whose answers are kept (chapter 08).

Which of the two is A is drawn by lot, both are equally loud, and what they were is
told only after the answer::

    test = BlindTest("08_sdr", {"the stem": stem}, {1: {"leak": x, "echo": y}}, rate, out_dir, seed)
    test.play(1)              # players: the stem, A, B
    test.answer(1, "A")       # or "B", or "same"; kept in <out_dir>/listening/08_sdr.json
    test.results()            # answered questions only
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ...errors import SepkitError
from ...files import read_json, write_json
from ..exercises import is_stub
from ..loudness import matching_gains
from ..players import PlayerRows, players

ANSWERS = ("A", "B", "same")
_FORMAT = "sepkit listening 1"


class BlindTest:
    """Questions of the kind "which of A and B is nearer to the reference?".

    Parameters
    ----------
    name : str
        Of the file of answers.
    reference : dict of one label to Tensor (channels, samples)
    questions : dict of int to dict of two labels to Tensor (channels, samples)
    sample_rate : int
        In Hz.
    out_dir : str or Path
        Answers are kept in ``<out_dir>/listening/<name>.json``, and found again there.
    seed : int
        Decides which one is A.

    Raises
    ------
    SepkitError
        If a question has not two sounds, or the file of answers is damaged.
    """

    def __init__(
        self,
        name: str,
        reference: Mapping[str, torch.Tensor],
        questions: Mapping[int, Mapping[str, torch.Tensor]],
        sample_rate: int,
        out_dir: str | Path,
        seed: int = 0,
    ):
        for number, sounds in questions.items():
            if len(sounds) != 2:
                raise SepkitError(
                    f"blind test {name}, question {number}: expected two sounds, not {len(sounds)}"
                )
        self.name, self.sample_rate = name, sample_rate
        self.reference, self.questions = dict(reference), dict(questions)
        self.path = Path(out_dir) / "listening" / f"{name}.json"
        self._order: dict[int, dict[str, str]] = {}
        for number, sounds in questions.items():
            labels = sorted(sounds)
            random.Random(f"{seed} {name} {number} {labels}").shuffle(labels)
            self._order[number] = dict(zip("AB", labels))
        self._answers = self._load()

    def play(self, number: int) -> PlayerRows:
        """Show players for a question: the reference, A and B, equally loud."""
        order = self._of(number)
        sounds = {
            **self.reference,
            **{letter: self.questions[number][label] for letter, label in order.items()},
        }
        # applied here: the gains that a player shows would give the answer away
        gains = matching_gains(sounds, self.sample_rate)
        sounds = {label: sound * 10 ** (gains[label] / 20) for label, sound in sounds.items()}
        title = f"Question {number}: which is nearer to {', '.join(self.reference)}?"
        return players(
            sounds,
            self.sample_rate,
            title=title,
            match=False,
            colours={"A": "#0072B2", "B": "#E69F00"},
            pictures=False,  # they would give the answer away
        )

    def answer(self, number: int, choice: Any = ...) -> str:
        """Keep an answer, and say what A and B were.

        Parameters
        ----------
        number : int
        choice : "A", "B" or "same"
            The stub ``...`` keeps nothing.

        Raises
        ------
        SepkitError
            For an unknown question or answer.
        """
        order = self._of(number)
        if is_stub(choice):
            return f'Question {number}: not answered yet. Replace the ... by "A", "B" or "same".'
        if choice not in ANSWERS:
            raise SepkitError(
                f"question {number}: answer {choice!r}; choose from {', '.join(ANSWERS)}"
            )
        pair = sorted(order.values())
        self._answers[number] = {"pair": pair, "nearer": order.get(choice)}
        write_json(
            self.path,
            {
                "format": _FORMAT,
                "answers": [
                    {"question": key, **kept} for key, kept in sorted(self._answers.items())
                ],
            },
        )
        heard = f"you chose {order[choice]}" if choice in order else "you heard no difference"
        return f"Question {number}: kept. A was {order['A']}, B was {order['B']}; {heard}."

    def results(self, values: Mapping[str, float] | None = None) -> pd.DataFrame:
        """List the answered questions.

        Parameters
        ----------
        values : dict of str to float, optional
            A metric's value for each label, to be compared with the ear.

        Returns
        -------
        pandas.DataFrame
            Indexed by question: the two sounds, which was chosen (None: no difference), and with
            `values` the metric of both and what it prefers, to 0.1 dB.
        """
        rows = {}
        for number, kept in sorted(self._answers.items()):
            one, two = kept["pair"]
            row = {"one": one, "other": two, "ear prefers": kept["nearer"] or "neither"}
            if values is not None:
                difference = values[one] - values[two]
                prefers = "neither" if abs(difference) < 0.1 else one if difference > 0 else two
                row |= {
                    "metric of one": values[one],
                    "metric of other": values[two],
                    "metric prefers": prefers,
                }
            rows[number] = row
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("question")

    def _of(self, number):
        if number not in self._order:
            raise SepkitError(
                f"question {number!r}: this test has the questions"
                f" {', '.join(map(str, self._order))}"
            )
        return self._order[number]

    def _load(self):
        """Return the kept answers to the present questions, without those to other pairs."""
        if not self.path.is_file():
            return {}
        content = read_json(self.path)
        try:
            if content["format"] != _FORMAT:
                raise KeyError("format")
            found = {
                row["question"]: {"pair": list(row["pair"]), "nearer": row["nearer"]}
                for row in content["answers"]
            }
            if strange := [
                kept["nearer"]
                for kept in found.values()
                if kept["nearer"] not in (*kept["pair"], None)
            ]:
                raise ValueError(f"{str(strange[0])[:40]!r} was not to choose from")
        except (KeyError, TypeError, ValueError) as error:
            raise SepkitError(
                f"{self.path}: not a file of listening answers ({error}); remove it to begin again"
            ) from None
        asked = {number: sorted(order.values()) for number, order in self._order.items()}
        return {number: kept for number, kept in found.items() if kept["pair"] == asked.get(number)}
