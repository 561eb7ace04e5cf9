"""Running the chapters in batch, and laying their numbers beside the published ones.

`batch` runs the jobs of a `grid` that are not done. Each (`jobs`) is a notebook in a `process`
of its own, which does the `execution`; its record is kept in the `manifest`, and its
`fingerprint` says whether it must run again. `plan` estimates a batch, `fetching` brings what it
needs, `merge` lays several together. `published` reads the reported numbers, `sisec` those of
SiSEC 2018, `errata` what is misprinted among them. `ledger` joins them with fresh Scores,
`claims` tests what the documents claim, `numbers` stand beside theirs, and `findings` says what
became of everything they report; `report` writes one page of it all. `experiments` are trainings
that compare. `checkpoints` trains what sepkit ships, `readme` writes the README's table.
Chapters 07, 08 and 12.
"""
