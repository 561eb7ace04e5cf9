"""Google Colab: a folder that outlives the session."""

import sys
from pathlib import Path

from ..errors import SepkitError


def drive(folder: str = "sepkit") -> str:
    """Mount the reader's Google Drive, which asks for consent, and make a folder there.

    Trainings and scores lie on Colab's own disk otherwise, and are gone with the session.

    Parameters
    ----------
    folder : str
        Its name in "My Drive".

    Returns
    -------
    str
        Its path: a value for a chapter's ``out_dir``.

    Raises
    ------
    SepkitError
        Elsewhere than on Colab.
    """
    if "google.colab" not in sys.modules:
        raise SepkitError("drive: only Google Colab has it; let out_dir be a folder of yours")
    from google.colab import drive as theirs

    theirs.mount("/content/drive")
    path = Path("/content/drive/MyDrive") / folder
    path.mkdir(exist_ok=True)
    return str(path)
