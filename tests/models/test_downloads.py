"""Published weights, proven on files of the same layout made from random weights."""

import hashlib
import http.server
import inspect
import threading
from functools import partial

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.models import MODELS, build, downloads, load
from sepkit.models.registry import model_class, outline

REAL = downloads.manifest()
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
        listed[target] = {
            "url": f"http://127.0.0.1:9/{path.name}",
            "mirror": None,
            "size": path.stat().st_size,
            "sha256": digest,
        }
    entry = {
        "model": "open-unmix",
        "licence": "none",
        "record": "",
        "default": True,
        "settings": SETTINGS,
        "files": listed,
    }
    monkeypatch.setattr(downloads, "manifest", lambda: {"tiny": entry})
    monkeypatch.setattr(downloads, "data_root", lambda: tmp_path / "data")
    return folder, entry, originals


class Handler(http.server.SimpleHTTPRequestHandler):
    """A file server that knows ranges and can break off."""

    asked, break_after, ranges = [], [], True

    def do_GET(self):
        content = (self.folder / self.path.lstrip("/")).read_bytes()
        start = (
            int((self.headers.get("Range") or "bytes=0-").split("=")[1].split("-")[0])
            if self.ranges
            else 0
        )
        self.asked.append(start)
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
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
        threading.Thread(
            target=partial(running.serve_forever, poll_interval=0.01), daemon=True
        ).start()
        yield kind, f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def same(a, b):
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("way", ["folder", "file address", "environment", "http"])
def test_published_weights_load_from_anywhere(published, server, way, monkeypatch):
    folder, _, originals = published
    base = {
        "folder": folder,
        "file address": folder.as_uri(),
        "environment": None,
        "http": server[1],
    }[way]
    if way == "environment":
        monkeypatch.setenv("SEPKIT_WEIGHTS_MIRROR", str(folder))
    bundle = downloads.load_published("tiny", base_url=base)
    assert list(bundle) == ["vocals", "noise"]
    assert all(
        same(bundle[target], originals[target]) and not bundle[target].training for target in bundle
    )


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


def test_a_damaged_copy_is_fetched_again(published, capsys):
    folder, _, originals = published
    path = downloads.fetch("tiny", "vocals", base_url=folder)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert same(
        downloads.load_published("tiny", ["vocals"], base_url=folder)["vocals"], originals["vocals"]
    )
    assert f"{path}: its SHA-256 starts with " in capsys.readouterr().err


def test_without_a_source_a_damaged_copy_is_told_all_the_same(published, capsys):
    """The error asks to put the file where, for all the reader knows, it is."""
    path = downloads.fetch("tiny", "vocals", base_url=published[0])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SepkitError, match="could not be fetched"):
        downloads.fetch("tiny", "vocals")
    size = path.stat().st_size
    told = f"{path}: {size} bytes instead of {size + 1}; it is fetched again"
    assert told in " ".join(capsys.readouterr().err.split())


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
    assert (
        downloads.fetch("tiny", "vocals", tmp_path / "cache", address).read_bytes()
        == source.read_bytes()
    )


@pytest.mark.parametrize("fault", ["truncated", "changed"])
def test_a_wrong_file_is_not_kept(published, tmp_path, fault):
    folder, entry, _ = published
    source = next(folder.glob("vocals*"))
    content = source.read_bytes()
    source.write_bytes(content[:-100] if fault == "truncated" else b"x" + content[1:])
    message = (
        f"{len(content) - 100} bytes instead of {len(content)}"
        if fault == "truncated"
        else "SHA-256 starts with"
    )
    with pytest.raises(SepkitError, match=message):
        downloads.fetch("tiny", "vocals", tmp_path / "cache", folder)
    assert not list((tmp_path / "cache").rglob("*.pt*"))
    entry["files"]["vocals"]["size"] = None  # without a known size the hash finds it
    with pytest.raises(SepkitError, match="SHA-256 starts with"):
        downloads.fetch("tiny", "vocals", tmp_path / "cache", folder)


@pytest.mark.parametrize("base", [None, "http://127.0.0.1:9", "nowhere"])
def test_without_a_source_the_other_choices_are_named(published, base):
    with pytest.raises(SepkitError, match="weights='shipped' or weights='train'") as error:
        downloads.fetch("tiny", "vocals", base_url=base)
    assert "\n" not in str(error.value) and "SEPKIT_WEIGHTS_MIRROR" in str(error.value)


def test_foreign_weights_are_named(published, tmp_path):
    folder, entry, _ = published
    source = next(folder.glob("vocals*"))
    for content, message in (({"a": torch.ones(1)}, "lacks bn1.bias"), ([1], "a state dict")):
        torch.save(content, source)
        entry["files"]["vocals"].update(sha256=downloads.sha256(source), size=None)
        with pytest.raises(SepkitError, match=message):
            downloads.load_published("tiny", ["vocals"], tmp_path / "cache", folder)


def test_unknown_names_list_what_exists(published):
    with pytest.raises(
        SepkitError, match="unknown set of published weights 'umxx': choose from tiny"
    ):
        downloads.fetch("umxx", "vocals")
    with pytest.raises(
        SepkitError, match="unknown target of tiny 'bass': choose from vocals, noise"
    ):
        downloads.fetch("tiny", "bass")


# Files that hold several targets, and files that nobody publishes a checksum for

STEMS = ["drums", "bass", "other", "vocals"]


@pytest.fixture
def demucs(tmp_path, monkeypatch):
    """A file in torchaudio's layout with random weights, listed without size and hash, and with a
    caution.
    """
    from torchaudio.models import HDemucs

    torch.manual_seed(0)
    folder, original = tmp_path / "torchaudio", HDemucs(STEMS, channels=4, nfft=64, depth=2).eval()
    folder.mkdir()
    torch.save(original.state_dict(), folder / "trained.pt")
    file = {
        "url": "http://127.0.0.1:9/trained.pt",
        "mirror": None,
        "size": None,
        "sha256": None,
        "targets": STEMS,
    }
    entry = {
        "model": "hybrid-demucs",
        "settings": dict(width=4, n_fft=64, depth=2, sample_rate=8000),
        "default": True,
        "caution": "it has seen the test songs",
        "files": {"all": file},
    }
    monkeypatch.setattr(downloads, "manifest", lambda: {"tiny": entry})
    monkeypatch.setattr(downloads, "data_root", lambda: tmp_path / "data")
    monkeypatch.setenv("SEPKIT_WEIGHTS_MIRROR", str(folder))
    return folder / "trained.pt", entry, original


def spoiled(path):
    """Change the last bytes of a file's largest tensor, so that it can still be read."""
    state = torch.load(path, weights_only=True)
    next(iter(state.values())).add_(1)
    torch.save(state, path)


def test_one_file_for_all_targets_is_one_network(demucs):
    with pytest.warns(downloads.Caution, match="tiny: it has seen the test songs"):
        bundle = downloads.load_published("tiny")
    assert list(bundle) == ["drums+bass+other+vocals"]
    net, mixture = bundle["drums+bass+other+vocals"], 0.1 * torch.randn(1, 2, 3000)
    assert net.targets == tuple(STEMS) and not net.training
    mono = mixture.mean(1)
    with torch.no_grad():
        expected = demucs[2]((mixture - mono.mean()) / mono.std()) * mono.std() + mono.mean()
        torch.testing.assert_close(net(mixture)["vocals"], expected[:, 3], atol=1e-6, rtol=1e-4)
    with pytest.warns(downloads.Caution):
        assert list(downloads.load_published("tiny", ["vocals", "bass"])) == [
            "drums+bass+other+vocals"
        ]
    assert downloads.fetch("tiny", "vocals") == downloads.fetch("tiny", "all")
    with pytest.raises(
        SepkitError, match="unknown target of tiny 'piano': choose from drums, bass, other, vocals"
    ):
        downloads.fetch("tiny", "piano")


def test_a_caution_stays_with_the_separator_and_its_scores(demucs):
    from sepkit.separation import ModelSeparator

    with pytest.warns(downloads.Caution):
        separator = ModelSeparator(load("tiny"), device="cpu")
    assert separator.describe()["caution"] == "it has seen the test songs"
    assert set(separator.targets) == set(STEMS)
    del demucs[1]["caution"]
    assert "caution" not in ModelSeparator(load("tiny"), device="cpu").describe()


@pytest.mark.filterwarnings("ignore::sepkit.models.downloads.Caution")
def test_without_a_published_hash_the_first_use_decides(demucs):
    source = demucs[0]
    downloads.load_published("tiny")
    kept = downloads.fetch("tiny", "all")
    record = kept.with_name("trained.pt.sha256")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert record.read_text() == f"{digest}  trained.pt\n"  # what sha256sum -c reads
    spoiled(kept)
    assert downloads.fetch("tiny", "all").read_bytes() == source.read_bytes()  # fetched again
    spoiled(kept)
    spoiled(source)
    with pytest.raises(
        SepkitError,
        match=f"instead of {digest[:8]}, which it had when it was first used .* delete "
        ".*trained.pt.sha256",
    ):
        downloads.load_published("tiny")
    record.unlink()
    downloads.load_published("tiny")
    assert record.read_text() != f"{digest}  trained.pt\n"


@pytest.mark.filterwarnings("ignore::sepkit.models.downloads.Caution")
@pytest.mark.parametrize("content", ["a web page", "another network"])
def test_what_does_not_fit_the_network_is_never_trusted(demucs, content):
    source = demucs[0]
    if content == "a web page":
        source.write_text("<html>Too many users have viewed this file recently</html>")
    else:
        torch.save({"fc1.weight": torch.ones(2)}, source)
    with pytest.raises(SepkitError, match="nothing was kept. Try again, or another mirror"):
        downloads.load_published("tiny")
    folder = source.parent.parent / "data" / "weights" / "tiny"
    assert not list(folder.iterdir())
    (folder / "trained.pt").write_bytes(source.read_bytes())  # by hand
    with pytest.raises(SepkitError, match="; delete it to have it downloaded again"):
        downloads.load_published("tiny")
    assert not list(folder.glob("*.sha256"))


@pytest.mark.filterwarnings("ignore::sepkit.models.downloads.Caution")
def test_a_known_size_finds_a_truncated_download(demucs):
    source, entry, _ = demucs
    size = source.stat().st_size
    entry["files"]["all"]["size"] = size
    source.write_bytes(source.read_bytes()[:-50])
    with pytest.raises(SepkitError, match=f"{size - 50} bytes instead of {size}"):
        downloads.load_published("tiny")


def test_a_file_whose_address_is_not_its_name(demucs):
    file = demucs[1]["files"]["all"]
    file.update(url="https://example.org/download?id=1", name="trained.pt")
    assert downloads.fetch("tiny", "all").name == "trained.pt"


def test_every_network_with_published_weights_reads_its_authors_files(tmp_path, monkeypatch):
    """ResUNet's and Conv-TasNet's names and wrapping, through the manifest, from a folder."""
    from sepkit.models.conv_tasnet import published_name as tasnet_name
    from sepkit.models.resunet_published import published_name as resunet_name

    resunet = dict(widths=(3, 4, 5, 6, 7, 7), n_fft=256, hop=64, sample_rate=8000)
    tasnet = dict(filters=4, length=4, width=4, hidden=6, layers=2, stacks=1, sample_rate=8000)
    made, entries = {}, {}
    for name, model, stems, settings in (
        ("r", "resunet-subbandtime", {"target": "accompaniment"}, resunet),
        ("t", "conv-tasnet", {"targets": STEMS}, tasnet),
    ):
        torch.manual_seed(1)
        made[name] = build(model, **stems, **settings)
        key = "accompaniment" if name == "r" else "all"
        file = {
            "url": f"http://127.0.0.1:9/{name}.pth",
            "mirror": None,
            "size": None,
            "sha256": None,
            **({} if name == "r" else stems),
        }
        entries[name] = {
            "model": model,
            "settings": settings,
            "default": True,
            "files": {key: file},
        }
    state = made["r"].state_dict()
    torch.save(
        {"model": {resunet_name(key): value for key, value in state.items()}}, tmp_path / "r.pth"
    )
    state = {tasnet_name(key, 2): value for key, value in made["t"].state_dict().items()}
    state = {
        key: value.view(1, -1, 1) if "gamma" in key or "beta" in key else value
        for key, value in state.items()
    }
    state["decoder.basis_signals.weight"] = state["decoder.basis_signals.weight"].flatten(1).T
    torch.save(state, tmp_path / "t.pth")
    monkeypatch.setattr(downloads, "manifest", lambda: entries)
    monkeypatch.setattr(downloads, "data_root", lambda: tmp_path / "data")
    for name, net in made.items():
        (loaded,) = downloads.load_published(name, base_url=tmp_path).values()
        assert same(loaded, net) and loaded.targets == net.targets and loaded.caution is None


def test_a_training_scripts_checkpoint_comes_over_http(published, server, monkeypatch):
    """SCNet's: half precision, under best_state, from a data-parallel run; entry as it stands."""
    folder, (_, address) = published[0], server
    small = dict(n_fft=128, hop=32, widths=(4, 8), depths=(1, 1, 1), layers=2, sample_rate=1000)
    real = REAL["scnet-musdb"]
    entry = {**real, "settings": {**real["settings"], **small}}
    torch.manual_seed(1)
    net = build("scnet", **entry["settings"]).half().float().eval()
    state = {
        "module." + key.replace("compress", "SDlayer.convs"): value.half()
        for key, value in net.state_dict().items()
    }
    torch.save({"state": {}, "best_state": state, "best_nsdr": 8.7}, folder / "checkpoint.th")
    file = {**entry["files"]["all"], "url": f"{address}/checkpoint.th"}
    entry["files"] = {"all": {**file, "size": None, "sha256": None}}
    monkeypatch.setattr(downloads, "manifest", lambda: {"tiny": entry})
    (loaded,) = downloads.load_published("tiny").values()
    mixture = 0.1 * torch.randn(1, 2, 1001)
    with torch.no_grad():
        for target, estimate in net(mixture).items():
            assert torch.equal(loaded(mixture)[target], estimate)
    assert (
        same(loaded, net) and loaded.settings["as_published"] and loaded.settings["segment"] == 20
    )


def demucs_name(key):
    """What the authors of Demucs call one of our weights."""
    for ours, theirs in (("freq_", ""), ("time_", "t")):
        for part in ("encoder", "decoder"):
            key = key.replace(f"net.{ours}{part}.", f"net.{theirs}{part}.")
    return key.removeprefix("net.")


def test_of_a_bag_of_networks_each_target_comes_from_its_own(tmp_path, monkeypatch):
    """htdemucs_ft: four networks for four stems, of which each is good at one; entry as it is."""
    small = dict(width=8, n_fft=256, depth=2, bottleneck=16, layers=1, heads=2, sample_rate=1000)
    entry, whole = {**REAL["htdemucs-ft"], "settings": {**small, "segment": 0.6}}, {}
    for number, (target, file) in enumerate(entry["files"].items()):
        torch.manual_seed(number)
        net = whole[target] = build("htdemucs", **entry["settings"]).half().float().eval()
        state = {demucs_name(key): value.half() for key, value in net.state_dict().items()}
        torch.save({"state": state}, tmp_path / file["url"].rsplit("/", 1)[-1])
        file.update(size=None, sha256=None)
    monkeypatch.setattr(downloads, "manifest", lambda: {"bag": entry})
    monkeypatch.setattr(downloads, "data_root", lambda: tmp_path / "data")
    bundle = downloads.load_published("bag", base_url=tmp_path)
    assert list(bundle) == ["vocals", "drums", "bass", "other"]
    mixture = 0.1 * torch.randn(1, 2, 1001)
    with torch.no_grad():
        for target, net in bundle.items():
            expected = whole[target](mixture)[target]
            torch.testing.assert_close(net(mixture), expected, atol=1e-6, rtol=1e-4)


# The real manifest


def test_the_real_manifest_builds_the_published_networks():
    parameters = {"umx": 8_893_348, "umxhq": 8_893_348, "umxl": 28_257_188, "umxse": 1_583_622}
    entries = downloads.manifest()
    assert (
        downloads.default("open-unmix") == "umxhq"
        and downloads.default("hybrid-demucs") == "hdemucs-musdb"
    )
    for name, count in parameters.items():
        entry = entries[name]
        model = build(entry["model"], **entry["settings"])
        assert sum(p.numel() for p in model.parameters()) == count
        assert set(entry["files"]) == (
            {"speech", "noise"} if name == "umxse" else {"vocals", "drums", "bass", "other"}
        )
        for target, file in entry["files"].items():
            assert (
                target in file["url"]
                and f"{file['sha256']}.pth" in file["url"]
                and len(file["sha256"]) == 8
            )


def test_every_entry_of_the_real_manifest_is_complete():
    entries = downloads.manifest()
    defaults = [entry["model"] for entry in entries.values() if entry["default"]]
    assert (
        len(defaults) == len(set(defaults)) == len({entry["model"] for entry in entries.values()})
    )  # one for each network
    assert not set(entries) & set(MODELS)
    for entry in entries.values():
        words = ("trained_on", "licence", "record", "verified", "unverified")
        assert all(entry[word] for word in words)
        assert set(entry["settings"]) <= set(
            inspect.signature(model_class(entry["model"])).parameters
        )
        for file in entry["files"].values():
            assert file["url"].startswith("https://") and {"mirror", "size", "sha256"} <= set(file)
            if not file["sha256"]:
                assert "first download" in entry["verified"]


def test_hybrid_demucs_comes_from_where_torchaudio_has_it():
    from torchaudio import pipelines

    entries = downloads.manifest()
    for name in ("HDEMUCS_HIGH_MUSDB", "HDEMUCS_HIGH_MUSDB_PLUS"):
        entry, pipeline = (
            entries[name.lower().replace("_high", "").replace("_", "-")],
            getattr(pipelines, name),
        )
        (file,) = entry["files"].values()
        assert file["url"] == f"https://download.pytorch.org/torchaudio/{pipeline._model_path}"
        assert (
            file["targets"] == pipeline._model_factory_func.keywords["sources"]
            and pipeline.sample_rate == 44100
        )
        assert bool(entry.get("caution")) == name.endswith("PLUS")


@pytest.mark.slow
def test_every_published_set_has_a_network():
    counts = {
        "hdemucs-musdb": 83_639_368,
        "tasnet-musdb": 10_977_872,
        "resunet-ismir2021-musdb": 102_571_278,
        "bsrnn-amanteur": 32_414_628,
        "bs-roformer-viperx": 159_758_092 - 64,  # less two tables that are no weights
        "bs-roformer-musdb": 131_704_164 - 64,
        "mel-roformer-kim": 228_202_852 - 64,
        "htdemucs-base": 41_984_456,
        "htdemucs-6s": 27_414_996,
        "scnet-musdb": 10_578_768,
        "scnet-large-musdb": 42_181_232,
    }
    for name, entry in downloads.manifest().items():
        for target, file in entry["files"].items():
            net = outline(
                entry["model"],
                **({"targets": file["targets"]} if "targets" in file else {"target": target}),
                **entry["settings"],
            )
            assert net.targets == tuple(file.get("targets", [target]))
            assert sum(p.numel() for p in net.parameters()) == counts.get(
                name, sum(p.numel() for p in net.parameters())
            )


@pytest.mark.filterwarnings("ignore::sepkit.models.downloads.Caution")
def test_one_flipped_bit_in_a_file_without_a_hash_is_told_at_its_first_use(demucs):
    """PyTorch reads such a file without a word."""
    source = demucs[0]
    content = bytearray(source.read_bytes())
    largest = max(demucs[2].state_dict().values(), key=torch.numel)
    content[content.index(largest.numpy().tobytes()) + 5] ^= 1
    source.write_bytes(content)
    torch.load(source, weights_only=True)
    with pytest.raises(SepkitError, match="in it is damaged.*nothing was kept"):
        downloads.load_published("tiny")
    assert not list((source.parent.parent / "data").rglob("*.pt*"))


def test_weights_of_another_kind_are_named(published, tmp_path):
    folder, entry, originals = published
    source = next(folder.glob("vocals*"))
    state = {
        **originals["vocals"].state_dict(),
        "fc1.weight": originals["vocals"].fc1.weight.detach().int(),
    }
    torch.save(state, source)
    entry["files"]["vocals"].update(sha256=downloads.sha256(source), size=None)
    with pytest.raises(
        SepkitError, match="fc1.weight holds torch.int32, where torch.float32 was expected"
    ):
        downloads.load_published("tiny", ["vocals"], tmp_path / "cache", folder)


@pytest.mark.filterwarnings("ignore::sepkit.models.downloads.Caution")
@pytest.mark.parametrize("text", ["", "\n", "a", "0" * 63, "no digest at all  trained.pt"])
def test_a_record_that_is_no_digest_is_named(demucs, text):
    """One digit of it once was enough for any file that began with it."""
    downloads.load_published("tiny")
    record = next((demucs[0].parent.parent / "data").rglob("*.sha256"))
    record.write_text(text)
    with pytest.raises(SepkitError, match="trained.pt.sha256: holds no SHA-256; delete it"):
        downloads.load_published("tiny")
