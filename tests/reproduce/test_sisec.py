"""SiSEC 2018: the shipped summaries against the scores by song, and which archives are refused."""

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sepkit.errors import SepkitError
from sepkit.metrics import Score, card_for
from sepkit.reproduce import ledger, sisec
from sepkit.stems import STEMS

FACTS = Path(os.environ.get("SEPKIT_SOURCES", "/unset"), "facts", "sisec18_track_medians.csv")
needs_songs = pytest.mark.skipif(
    not FACTS.is_file(), reason="SEPKIT_SOURCES has no scores of SiSEC 2018 by song"
)


@needs_songs
def test_every_summary_follows_from_the_songs():
    """numpy's percentiles, method by method, instead of pandas' grouped ones."""
    songs = sisec.load_sisec(FACTS)
    assert songs.method.nunique() == 31 and songs.track.nunique() == sisec.SONGS
    shipped = pd.concat(sisec.summary(metric=metric) for metric in sisec.METRICS)
    assert len(shipped) == 4 * len(songs[["method", "target"]].drop_duplicates())
    for row in shipped.itertuples():
        values = songs[(songs.method == row.method) & (songs.target == row.target)][
            row.metric
        ].to_numpy()
        assert row.n == len(values) == sisec.SONGS
        assert np.allclose(
            np.percentile(values, [0, 25, 50, 75, 100]),
            [row.min, row.q1, row.median, row.q3, row.max],
            atol=6e-5,
        )


def test_the_medians_are_those_of_the_score_table():
    """Two files, typed from two places: scores.csv rounds to three decimals."""
    names = {"Wave-U-Net (STL2)": "STL2", "Mixture as estimate (MIX)": "MIX"}
    rows = [row for row in ledger.load_reported() if row.source == sisec.SOURCE]
    assert len(rows) == 40
    for row in rows:
        method = names.get(row.system, row.system.removeprefix("Oracle "))
        (median,) = sisec.summary(row.target).query("method == @method")["median"]
        assert median == pytest.approx(row.value, abs=6e-4), (row.system, row.target)
        assert (sisec.methods().extra_training_data[method] == "yes") == row.extra_training_data


def test_summaries_are_sorted_and_say_what_they_know():
    vocals = sisec.summary("vocals")
    assert list(vocals.method[:2]) == ["IRM2", "MWF"] and vocals["median"].is_monotonic_decreasing
    assert set(vocals.method) == set(sisec.methods().index), "all 31 methods separate vocals"
    assert set(sisec.summary("accompaniment").method) >= {
        "HPSS",
        "REP1",
        "REP2",
        "2DFT",
        "RPCA",
        "MELO",
    }
    assert not {"HPSS", "REP1"} & set(sisec.summary("drums").method), "two stems only"
    with pytest.raises(SepkitError, match="unknown target 'guitar'"):
        sisec.summary("guitar")
    with pytest.raises(SepkitError, match="unknown metric 'cSDR'"):
        sisec.summary("vocals", "cSDR")


def test_no_scores_by_song_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("SEPKIT_DATA", str(tmp_path))
    assert sisec.find() is None
    with pytest.raises(SepkitError, match="set SEPKIT_SISEC .* or call sisec.download"):
        sisec.load_sisec()
    monkeypatch.setenv("SEPKIT_SISEC", str(tmp_path / "absent.csv"))
    with pytest.raises(SepkitError, match="absent.csv: not a readable CSV"):
        sisec.load_sisec()
    (tmp_path / "short.csv").write_text("method,track\na,b\n")
    with pytest.raises(SepkitError, match="short.csv: column 'split' is missing"):
        sisec.load_sisec(tmp_path / "short.csv")


@needs_songs
@pytest.mark.parametrize(
    "harm, says",
    [
        (
            lambda table: table.assign(SDR=table.SDR + 0.01),
            "SDR, min is .*these are not the published scores",
        ),
        (lambda table: table[table.method != "TAK1"], "no TAK1 .* summaries are missing"),
        (lambda table: table[table.track != table.track[0]], "n is 49.0000"),
    ],
)
def test_other_scores_are_refused(tmp_path, harm, says):
    path = tmp_path / "scores.csv"
    harm(pd.read_csv(FACTS)).to_csv(path, index=False)
    with pytest.raises(SepkitError, match=says):
        sisec.load_sisec(path)


def test_medians_of_a_song_leave_silent_frames_out():
    content = {
        "targets": [
            {
                "name": "vocals",
                "frames": [
                    {
                        "metrics": {
                            metric: value + offset for offset, metric in enumerate(sisec.METRICS)
                        }
                    }
                    for value in (1.0, 5.0, 2.0, float("nan"))
                ],
            }
        ]
    }
    assert list(sisec.song_medians(content, "A", "test", "song")) == [
        ("A", "test", "song", "vocals", 3, 2.0, 3.0, 4.0, 5.0)
    ]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """What GitHub would send, rebuilt from the medians: three frames per song, one silent."""
    songs = pd.read_csv(FACTS)
    path = tmp_path_factory.mktemp("sisec") / "archive.tar.gz"
    with tarfile.open(
        path,
        "w:gz",
        format=tarfile.PAX_FORMAT,
        pax_headers={"comment": sisec.COMMIT + "0" * 33},
        compresslevel=1,
    ) as tar:
        for (method, split, track), rows in songs.groupby(["method", "split", "track"]):
            targets = [
                {
                    "name": row.target,
                    "frames": [
                        {
                            "metrics": {
                                metric: getattr(row, metric) + shift for metric in sisec.METRICS
                            }
                        }
                        for shift in (-1.0, 1.0, float("nan"))
                    ],
                }
                for row in rows.itertuples()
            ]
            _add(
                tar,
                f"sigsep-mus-2018-{sisec.COMMIT}/submissions/{method}/{split}/{track}.json",
                {"targets": targets},
            )
        _add(
            tar,
            f"sigsep-mus-2018-{sisec.COMMIT}/submissions/HEL2/test/a.json",
            {"not": "among the 31"},
        )
    return path


def _add(tar, name, content):
    data = json.dumps(content).encode()
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


@needs_songs
def test_an_archive_becomes_the_table_of_songs(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("SEPKIT_DATA", str(tmp_path))
    path = sisec.download(archive.as_uri())
    assert path == sisec.find() == tmp_path / "sisec18" / "track_medians.csv"
    keys = ["method", "track", "target"]
    ours, facts = (
        table.sort_values(keys).reset_index(drop=True)
        for table in (sisec.load_sisec(), pd.read_csv(FACTS))
    )
    pd.testing.assert_frame_equal(
        ours.drop(columns="n_frames"),
        facts.drop(columns="n_frames"),
        check_exact=False,
        atol=1e-9,
        check_like=True,
    )


@needs_songs
def test_an_archive_of_another_commit_is_refused(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(sisec, "COMMIT", "1234567")
    with pytest.raises(SepkitError, match="of commit '62fb47900000', expected 1234567"):
        sisec.download(archive.as_uri(), tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


def test_a_broken_download_leaves_nothing(tmp_path):
    (tmp_path / "broken.tar.gz").write_bytes(b"no archive")
    with pytest.raises(SepkitError, match="cannot be fetched .* download it by hand"):
        sisec.download((tmp_path / "broken.tar.gz").as_uri(), tmp_path / "out")
    with pytest.raises(SepkitError, match="cannot be fetched"):
        sisec.download((tmp_path / "absent.tar.gz").as_uri(), tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


def test_only_whole_songs_of_musdb18_stand_beside_the_campaign():
    def made(**change):
        given = {"dataset": "musdb18", "metric": "csdr", "value": 6.0, **change}
        origin = {
            **dict.fromkeys(("sepkit", "commit", "command", "device", "seed", "profile"), "x"),
            **given.pop("said", {}),
        }
        card = card_for("csdr", given.pop("targets", STEMS))
        return Score(
            "song", "vocals", given["metric"], given["value"], "net", given["dataset"], card, origin
        )

    assert sisec.comparable([made()]) == {"net": {"vocals": {"song": 6.0}}}
    for change in (
        {"dataset": "band"},
        {"dataset": "musdb18hq"},
        {"metric": "usdr"},
        {"said": {"excerpt": "8 s"}},
        {"value": float("nan")},
        {"targets": ("vocals", "accompaniment")},
    ):
        assert sisec.comparable([made(**change)]) == {}, change
    with pytest.raises(SepkitError, match="labelled musdb18, but measured on band"):
        sisec.comparable([made(said={"data": "band"})])
