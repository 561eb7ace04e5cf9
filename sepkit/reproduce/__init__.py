"""Running the chapters in batch, and laying their numbers beside the published ones.

`batch` executes notebooks with papermill, `ledger` joins their Scores with the
reported tables, `report` writes one page of both. Chapter 11 uses the ledger.
"""
