"""Published weights, proven on files of the same layout made from random weights."""

import hashlib
import http.server
import pickle
import threading
from functools import partial

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.models import build, downloads, load

SETTINGS = dict(sample_rate=8000, n_fft=256, hop=64, channels=2, hidden=16)
FILES = {"vocals": "vocals-{}.pth", "noise": "noise_{}.pth"}


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A folder of weights and a manifest that lists them at an address that does not exist."""
    folder = tmp_path / "record"
    folder.mkdir()
    listed, originals = {}, {}
    for number, (target, pattern) in enumerate(FILES.items()):
        torch.manual_seed(number)
        originals[target] = build("open-unmix", target=target, **SETTINGS)
        path = folder / "new.pth"
        torch.save({**originals[target].state_dict(), "stft.window": torch.hann_window(256)}, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        path = path.rename(folder / pattern.format(digest))
        listed[target] = {"url": f"http://127.0.0.1:9/{path.name}", "mirror": None, "size": path.stat().st_size, "sha256": digest}
    entry = {"model": "open-unmix", "licence": "none", "record": "", "default": True, "settings": SETTINGS, "files": listed}
    monkeypatch.setattr(downloads, "manifest", lambda: {"tiny": entry})
    monkeypatch.setattr(downloads, "data_root", lambda: tmp_path / "data")
    return folder, entry, originals


class Handler(http.server.SimpleHTTPRequestHandler):
    """A file server that knows ranges and can break off."""

    asked, break_after, ranges = [], [], True

    def do_GET(self):
        content = (self.folder / self.path.lstrip("/")).read_bytes()
        start = int((self.headers.get("Range") or "bytes=0-").split("=")[1].split("-")[0]) if self.ranges else 0
        self.asked.append(start)
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        part = content[start:]
        self.wfile.write(part[: self.break_after.pop(0)] if self.break_after else part)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(published):
    kind = type("Served", (Handler,), {"folder": published[0], "asked": [], "break_after": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as running:
        threading.Thread(target=partial(running.serve_forever, poll_interval=0.01), daemon=True).start()
        yield kind, f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("way", ["folder", "file address", "environment", "http"])
def test_published_weights_load_from_anywhere(published, server, way, monkeypatch):
    folder, _, originals = published
    base = {"folder": folder, "file address": folder.as_uri(), "environment": None, "http": server[1]}[way]
    if way == "environment":
        monkeypatch.setenv("SEPKIT_WEIGHTS_MIRROR", str(folder))
    bundle = downloads.load_published("tiny", base_url=base)
    assert list(bundle) == ["vocals", "noise"]
    assert all(same(bundle[target], originals[target]) and not bundle[target].training for target in bundle)


def test_a_models_name_with_published_weights(published, monkeypatch):
    monkeypatch.setenv("SEPKIT_WEIGHTS_MIRROR", str(published[0]))
    for bundle in (load("open-unmix", weights="published"), load("tiny")):
        assert same(bundle["vocals"], published[2]["vocals"])


def test_a_kept_copy_needs_no_source(published):
    folder = published[0]
    path = downloads.fetch("tiny", "vocals", base_url=folder)
    for file in folder.iterdir():
        file.unlink()
    assert downloads.fetch("tiny", "vocals", base_url=folder) == path


def test_a_damaged_copy_is_fetched_again(published):
    folder, _, originals = published
    path = downloads.fetch("tiny", "vocals", base_url=folder)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert same(downloads.load_published("tiny", ["vocals"], base_url=folder)["vocals"], originals["vocals"])


def test_a_download_that_breaks_off_is_resumed(published, server, tmp_path):
    kind, address = server
    kind.break_after = [10_000, 5_000]
    path = downloads.fetch("tiny", "vocals", tmp_path / "cache", address)
    assert kind.asked == [0, 10_000, 15_000]
    assert downloads.sha256(path).startswith(published[1]["files"]["vocals"]["sha256"])
    assert list(path.parent.iterdir()) == [path]


def test_the_next_call_resumes_what_this_one_could_not_finish(published, server, tmp_path):
    kind, address = server
    kind.break_after = [1000, 1000, 1000]
    with pytest.raises(SepkitError, match="broke off after 3000 bytes"):
        downloads.fetch("tiny", "vocals", tmp_path / "cache", address)
    kind.asked.clear()
    downloads.fetch("tiny", "vocals", tmp_path / "cache", address)
    assert kind.asked == [3000]


def test_a_server_without_ranges_starts_over(published, server, tmp_path):
    kind, address = server
    kind.ranges, kind.break_after = False, [1000]
    path = downloads.fetch("tiny", "vocals", tmp_path / "cache", address)
    assert path.stat().st_size == published[1]["files"]["vocals"]["size"] and kind.asked == [0, 0]


def test_a_whole_part_file_is_only_checked(published, server, tmp_path):
    kind, address = server
    source = next(published[0].glob("vocals*"))
    part = tmp_path / "cache" / "tiny" / f"{source.name}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(source.read_bytes())
    assert downloads.fetch("tiny", "vocals", tmp_path / "cache", address).read_bytes() == source.read_bytes()


@pytest.mark.parametrize("fault", ["truncated", "changed"])
def test_a_wrong_file_is_not_kept(published, tmp_path, fault):
    folder, entry, _ = published
    source = next(folder.glob("vocals*"))
    content = source.read_bytes()
    source.write_bytes(content[:-100] if fault == "truncated" else b"x" + content[1:])
    message = f"{len(content) - 100} bytes instead of {len(content)}" if fault == "truncated" else "SHA-256 starts with"
    with pytest.raises(SepkitError, match=message):
        downloads.fetch("tiny", "vocals", tmp_path / "cache", folder)
    assert not list((tmp_path / "cache" / "tiny").iterdir())
    entry["files"]["vocals"]["size"] = None  # without a known size the hash finds it
    with pytest.raises(SepkitError, match="SHA-256 starts with"):
        downloads.fetch("tiny", "vocals", tmp_path / "cache", folder)


@pytest.mark.parametrize("base", [None, "http://127.0.0.1:9", "nowhere"])
def test_without_a_source_the_other_choices_are_named(published, base):
    with pytest.raises(SepkitError, match="weights='shipped' or weights='train'") as error:
        downloads.fetch("tiny", "vocals", base_url=base)
    assert "\n" not in str(error.value) and "SEPKIT_WEIGHTS_MIRROR" in str(error.value)


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    trap = tmp_path / "trap"
    for write in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
        path = tmp_path / "weights.pth"
        write({"fc1.weight": Malicious(str(trap))}, path)
        with pytest.raises(SepkitError, match="refused, it holds more than weights"):
            downloads.read_weights(path)
    assert not trap.exists()


def test_foreign_weights_are_named(published, tmp_path):
    folder, entry, _ = published
    source = next(folder.glob("vocals*"))
    for content, message in (({"a": torch.ones(1)}, "lacks bn1.bias"), ([1], "a state dict")):
        torch.save(content, source)
        entry["files"]["vocals"].update(sha256=downloads.sha256(source), size=None)
        with pytest.raises(SepkitError, match=message):
            downloads.load_published("tiny", ["vocals"], tmp_path / "cache", folder)


def test_unknown_names_list_what_exists(published):
    with pytest.raises(SepkitError, match="unknown set of published weights 'umxx': choose from tiny"):
        downloads.fetch("umxx", "vocals")
    with pytest.raises(SepkitError, match="unknown target of tiny 'bass': choose from vocals, noise"):
        downloads.fetch("tiny", "bass")


def test_the_real_manifest_builds_the_published_networks():
    parameters = {"umx": 8_893_348, "umxhq": 8_893_348, "umxl": 28_257_188, "umxse": 1_583_622}
    entries = downloads.manifest()
    assert set(entries) == set(parameters) and downloads.default("open-unmix") == "umxhq"
    for name, entry in entries.items():
        model = build(entry["model"], **entry["settings"])
        assert sum(p.numel() for p in model.parameters()) == parameters[name]
        assert set(entry["files"]) == ({"speech", "noise"} if name == "umxse" else {"vocals", "drums", "bass", "other"})
        for target, file in entry["files"].items():
            assert target in file["url"] and f"{file['sha256']}.pth" in file["url"] and len(file["sha256"]) == 8
