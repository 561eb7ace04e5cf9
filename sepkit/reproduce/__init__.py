"""Running the chapters in batch, and laying their numbers beside the published ones.

`batch` runs the notebooks that changed, each as `notebook` does. `published` reads the reported
numbers, `sisec` those of SiSEC 2018, `errata` what is misprinted among them. `ledger` joins them
with fresh Scores, `claims` tests what the documents claim, `numbers` stand beside theirs, and
`findings` says what became of everything they report; `report` writes one page of it all.
`experiments` are trainings that compare. `checkpoints` trains what sepkit ships, `readme` writes
the README's table. Chapters 07, 08 and 12.
"""
