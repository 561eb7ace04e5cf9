"""The identity of files and folders: a hash of their bytes, read once, and never stale."""

import hashlib
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import soundfile
import torch

from sepkit import files
from sepkit.datasets import FolderTrack, MemoryTrack
from sepkit.datasets.loader import decoded
from sepkit.datasets.sources import Filled
from sepkit.datasets.track import WrappedTrack
from sepkit.errors import SepkitError
from sepkit.files import hashes, identity


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """A memory of its own, files long at rest, and the names of all that is hashed from now on."""
    read, sha256 = [], files.sha256
    monkeypatch.setenv("SEPKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hashes, "SETTLED", -(10**18))

    def noted(path):
        read.append(os.path.basename(path))
        return sha256(path)

    monkeypatch.setattr(hashes, "sha256", noted)
    hashes._here.clear(), hashes._given_up.clear()
    return read


def another_process():
    """Forget what only this process knows."""
    hashes._here.clear(), hashes._given_up.clear()


def system(monkeypatch, stat):
    """Let the memory see a file system with this `stat`."""
    names = ("path", "fsencode", "environ")
    part = types.SimpleNamespace(
        stat=stat, name="posix", **{name: getattr(os, name) for name in names}
    )
    monkeypatch.setattr(hashes, "os", part)


def overwrite(path, place):
    """Change one byte in place; size, inode and time of modification stay."""
    status = path.stat()
    with open(path, "r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size and path.stat().st_ino == status.st_ino


def truth(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_is_read_once(tmp_path, memory):
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom(3_000_000))
    for _ in range(2):
        assert identity(path) == identity(str(path)) == truth(path)
        another_process()
    assert memory == ["a.bin"]


@pytest.mark.parametrize("place", [0, 1_500_000, 2_999_999])
@pytest.mark.skipif(os.name != "posix", reason="no time of the last change")
def test_a_byte_changed_anywhere_is_noticed_though_size_time_and_inode_stay(
    tmp_path, memory, place
):
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom(3_000_000))
    before = identity(path)
    time.sleep(0.02)  # the clock of the file system goes in steps of up to 10 ms
    overwrite(path, place)
    assert identity(path) == truth(path) != before


def test_touched_or_copied_it_is_read_again_and_found_the_same(tmp_path, memory):
    path, copy = tmp_path / "a.bin", tmp_path / "b.bin"
    path.write_bytes(b"music")
    before = identity(path)
    os.utime(path, ns=(1, 1))
    copy.write_bytes(b"music")
    assert identity(path) == identity(copy) == before and memory == ["a.bin", "a.bin", "b.bin"]


def test_a_file_that_changed_a_moment_ago_is_not_remembered(tmp_path, memory, monkeypatch):
    """Within one tick of the file system's clock it could change again, and keep all its times."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"first")
    monkeypatch.setattr(hashes, "SETTLED", 2_000_000_000)
    frozen = os.stat(path)
    system(monkeypatch, lambda where: frozen)  # a clock that stands still
    assert identity(path) == truth(path)
    path.write_bytes(b"other")
    assert identity(path) == truth(path) and memory == ["a.bin", "a.bin"]


def test_a_file_that_is_being_written_is_not_remembered(tmp_path, memory, monkeypatch):
    path, sha256 = tmp_path / "a.bin", files.sha256
    path.write_bytes(b"first")

    def slow(where):
        found = sha256(where)
        path.write_bytes(b"longer")
        return found

    monkeypatch.setattr(hashes, "sha256", slow)
    identity(path)
    monkeypatch.setattr(hashes, "sha256", sha256)
    assert identity(path) == truth(path)


def damage(cache, how):
    cache.parent.mkdir(parents=True, exist_ok=True)
    if how == "text":
        cache.write_text("no database at all, but long enough to be read as one\n" * 100)
    elif how == "empty":
        cache.write_bytes(b"")
    elif how == "torn":
        cache.write_bytes(cache.read_bytes()[: cache.stat().st_size // 2])
    elif how == "another table":
        cache.unlink()
        sqlite3.connect(cache).execute("CREATE TABLE files (name TEXT)")
    elif how == "a folder":
        cache.unlink()
        cache.mkdir()
    elif how == "a flipped hash":
        with sqlite3.connect(cache) as database:
            database.execute("UPDATE files SET sha256 = replace(sha256, substr(sha256, 1, 1), 'x')")


@pytest.mark.parametrize(
    "how", ["text", "empty", "torn", "another table", "a folder", "a flipped hash"]
)
def test_a_damaged_memory_changes_no_result(tmp_path, memory, how):
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_bytes(os.urandom(100))
        identity(path)
    another_process()
    damage(tmp_path / "cache" / "hashes.sqlite", how)
    for _ in range(3):
        assert [identity(path) for path in paths] == [truth(path) for path in paths]
        another_process()
    if how in ("text", "empty", "torn", "a flipped hash"):  # it has been made anew
        memory.clear()
        assert [identity(path) for path in paths] == [
            truth(path) for path in paths
        ] and memory == []


@pytest.mark.parametrize("why", ["read-only", "a file in its place", "no home", "no sqlite"])
def test_where_nothing_can_be_remembered_results_are_right(tmp_path, memory, monkeypatch, why):
    path = tmp_path / "a.bin"
    path.write_bytes(b"music")
    if why == "read-only":  # root may write anywhere, and so it is the library that refuses

        def refuse(*arguments, **options):
            raise sqlite3.OperationalError("attempt to write a readonly database")

        monkeypatch.setattr(sqlite3, "connect", refuse)
    elif why == "a file in its place":
        (tmp_path / "cache").write_text("")
    elif why == "no home":

        def homeless():
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.delenv("SEPKIT_CACHE")
        monkeypatch.setattr(hashes.Path, "home", homeless)
    else:
        monkeypatch.setitem(sys.modules, "sqlite3", None)
    assert identity(path) == identity(path) == truth(path) and memory == [
        "a.bin"
    ]  # this process still knows


def test_a_file_system_without_inodes(tmp_path, memory, monkeypatch):
    """Every file has number 0 there."""

    def numberless(path):
        names = ("st_mode", "st_size", "st_mtime_ns", "st_ctime_ns")
        return types.SimpleNamespace(
            **{name: getattr(os.stat(path), name) for name in names}, st_ino=0
        )

    paths = [tmp_path / name for name in "ab"]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 10)
    system(monkeypatch, numberless)
    for _ in range(2):
        assert [identity(path) for path in paths] == [truth(path) for path in paths]
        another_process()
    assert memory == ["a", "b"]


def test_only_so_many_files_are_remembered(tmp_path, memory, monkeypatch):
    monkeypatch.setattr(hashes, "LIMIT", 5)
    for number in range(12):
        (tmp_path / f"{number}").write_bytes(bytes([number]))
        identity(tmp_path / f"{number}")
    rows = (
        sqlite3.connect(tmp_path / "cache" / "hashes.sqlite")
        .execute("SELECT path FROM files ORDER BY path")
        .fetchall()
    )
    assert [os.path.basename(os.fsdecode(path)) for (path,) in rows] == ["10", "11", "7", "8", "9"]


@pytest.mark.skipif(
    not hasattr(os, "fork") or sys.platform == "darwin", reason="names of any bytes"
)
def test_names_of_any_bytes(tmp_path, memory):
    path = tmp_path / os.fsdecode(b"caf\xe9 \xff.bin")
    path.write_bytes(b"music")
    for _ in range(2):
        assert identity(path) == truth(path) and len(identity(tmp_path)) == 32
        another_process()
    assert memory.count(path.name) == 1


def _hash_all(folder, cache, out):
    os.environ["SEPKIT_CACHE"] = cache
    hashes.SETTLED = -(10**18)
    names = sorted(os.listdir(folder))
    out.put([identity(os.path.join(folder, name)) for name in names])


def test_several_processes_at_once(tmp_path, memory):
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:02}").write_bytes(os.urandom(1000))
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    results = context.Queue()
    crowd = [
        context.Process(target=_hash_all, args=(str(folder), str(tmp_path / "cache"), results))
        for _ in range(4)
    ]
    for process in crowd:
        process.start()
    found = [results.get(timeout=60) for _ in crowd]
    for process in crowd:
        process.join()
    assert found == [[truth(path) for path in sorted(folder.iterdir())]] * 4
    another_process()
    memory.clear()
    assert [identity(path) for path in sorted(folder.iterdir())] == found[0] and memory == []


def test_what_cannot_be_read_is_named_in_one_line(tmp_path):
    with pytest.raises(SepkitError, match="^[^\n]*nothing: cannot be read [^\n]*$"):
        identity(tmp_path / "nothing")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(
            SepkitError, match="pipe: cannot be read .not a regular file.; mend or remove it"
        ):
            identity(tmp_path / "pipe")


# --- folders


def tree(root, **contents):
    for name, content in contents.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_a_folder_is_its_names_and_bytes(tmp_path, memory):
    one = tree(tmp_path / "one", a__x=b"1", a__y=b"2", b=b"3")
    same = identity(one)
    assert identity(tree(tmp_path / "two", b=b"3", a__y=b"2", a__x=b"1")) == same
    changes = [
        dict(a__x=b"2", a__y=b"1", b=b"3"),
        dict(a__x=b"1", a__y=b"2", c=b"3"),
        dict(a__x=b"1", a__y=b"2"),
        dict(a__xy=b"12", b=b"3"),
    ]
    others = {identity(tree(tmp_path / f"other{k}", **change)) for k, change in enumerate(changes)}
    assert len(others) == len(changes) and same not in others
    tree(one, _dot_hidden=b"", _dot_git__x=b"4")
    assert identity(one) == same and identity(tmp_path / "two") == same


def test_a_folder_may_link_to_itself_and_to_others(tmp_path, memory):
    one, elsewhere = tree(tmp_path / "one", a=b"1"), tree(tmp_path / "elsewhere", b=b"2")
    try:
        (one / "link").symlink_to(elsewhere, target_is_directory=True)
        (one / "loop").symlink_to(one, target_is_directory=True)
        (one / "broken").symlink_to(tmp_path / "nothing")
    except OSError:
        pytest.skip("no symbolic links here")
    assert identity(one) == identity(tree(tmp_path / "two", a=b"1", link__b=b"2"))


def test_of_a_folder_only_what_ends_so(tmp_path, memory):
    one = tree(tmp_path / "one", a_dot_WAV=b"1", notes_dot_txt=b"2")
    before = identity(one, (".wav",))
    tree(one, notes_dot_txt=b"3")
    assert identity(one, (".wav",)) == before != identity(one)


# --- tracks


def song(folder, **stems):
    folder.mkdir(parents=True)
    for name, seed in stems.items():
        samples = np.random.default_rng(seed).integers(-9999, 9999, (1000, 2)).astype(np.int16)
        soundfile.write(folder / f"{name}.wav", samples, 8000, subtype="PCM_16")
    return folder


def test_a_track_is_what_reading_it_gives(tmp_path, memory):
    first = FolderTrack(song(tmp_path / "a", vocals=0, other=1)).identity()
    assert FolderTrack(song(tmp_path / "copy", vocals=0, other=1)).identity() == first  # elsewhere
    others = [
        FolderTrack(song(tmp_path / "b", vocals=1, other=0)),
        FolderTrack(song(tmp_path / "c", vocals=0, bass=1)),
        FolderTrack(song(tmp_path / "d", vocals=0, other=1, mixture=2)),
        FolderTrack(song(tmp_path / "e", vocals=0)),
        FolderTrack(tmp_path / "a", sample_rate=4000),
        FolderTrack(tmp_path / "a", channels=1),
    ]
    identities = [track.identity() for track in others]
    assert len({*identities, first}) == 7


def test_a_track_with_silent_stems_is_another_and_says_where_its_sound_is(tmp_path, memory):
    stems, same = ("vocals", "other"), song(tmp_path / "a", vocals=0)
    plain, voice = FolderTrack(same), Filled(FolderTrack(same), stems)
    rest = Filled(FolderTrack(song(tmp_path / "b", other=0)), stems)
    assert len({plain.identity(), voice.identity(), rest.identity()}) == 3
    (held,) = decoded([plain])
    soundfile.write(same / "vocals.wav", np.zeros((1000, 2)), 8000)  # it goes on holding the old
    assert WrappedTrack(held).identity() == held.identity() != plain.identity()


@pytest.mark.parametrize("place", [0, 500, 999])
def test_a_track_in_memory_is_its_samples(place):
    audio = {
        name: torch.randn(2, 1000, generator=torch.Generator().manual_seed(k))
        for k, name in enumerate(("vocals", "other"))
    }
    track = MemoryTrack("t", audio, 8000)
    assert MemoryTrack("another name", audio, 8000).identity() == track.identity()
    audio = {name: x.clone() for name, x in audio.items()}
    audio["other"][1, place] += 1e-6
    assert MemoryTrack("t", audio, 8000).identity() != track.identity()
    with_mixture = MemoryTrack("t", audio, 8000, mixture=0.5 * sum(audio.values())).identity()
    assert (
        with_mixture != MemoryTrack("t", audio, 8000).identity()
        and MemoryTrack("t", audio, 4000).identity() != track.identity()
    )


def test_the_memory_is_where_the_user_wants_it(tmp_path):
    """In the user's cache folder by default, and made by the first command that needs it."""
    (tmp_path / "file").write_bytes(b"music")
    os.utime(tmp_path / "file", ns=(1, 1))
    time.sleep(2.1)  # at rest
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    code = f"from sepkit.files import identity; identity({str(tmp_path / 'file')!r})"
    environment = {**{k: v for k, v in os.environ.items() if k != "SEPKIT_CACHE"}, **home}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert (tmp_path / ".cache" / "sepkit" / "hashes.sqlite").is_file()
