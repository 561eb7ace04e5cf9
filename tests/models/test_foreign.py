"""Networks from files of other programs: configs, bags, files of Demucs; and those of others."""

import pytest
import torch
from safetensors.torch import save_file

from sepkit import separation
from sepkit.errors import SepkitError
from sepkit.files import sha256
from sepkit.models import build, load
from sepkit.models.ensemble import Ensemble
from sepkit.models.roformer_configs import read_config
from sepkit.stems import STEMS_OF_DEMUCS
from tests.models.test_htdemucs import published as demucs_state

DEMUCS = dict(width=8, n_fft=256, depth=2, bottleneck=16, layers=3, sample_rate=44100)

CONFIG = """
audio:
  chunk_size: 4096
  sample_rate: 44100
  num_channels: 2
model:
  dim: 16
  depth: 2
  stereo: true
  num_stems: {stems}
  time_transformer_depth: 1
  freq_transformer_depth: 1
  linear_transformer_depth: 0
  {bands}
  dim_head: 8
  heads: 2
  attn_dropout: 0.1
  ff_dropout: 0.1
  flash_attn: true
  dim_freqs_in: 65
  stft_n_fft: 128
  stft_hop_length: 32
  stft_win_length: 128
  stft_normalized: false
  mask_estimator_depth: 2
  multi_stft_resolutions_window_sizes: !!python/tuple [4096, 2048]
training:
  instruments: [vocals, other]
  target_instrument: {target}
inference:
  num_overlap: 2
"""
SPLIT = "freqs_per_bands: !!python/tuple\n    - 5\n    - 20\n    - 40"
MEL = "num_bands: 6"


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def config(path, bands=SPLIT, stems=1, target="vocals", change=("", "")):
    path.write_text(CONFIG.format(bands=bands, stems=stems, target=target).replace(*change))
    return path


def roformer_state(net):
    """The state of a RoFormer under the public names; the tables of rates are not in it."""
    names = {"norm.gamma": "final_norm.gamma"}
    state = {}
    for key, value in net.state_dict().items():
        parts = key.split(".")
        if key in names:
            key = names[key]
        elif parts[0] == "split":
            key = f"band_split.to_features.{parts[2]}.{int(parts[1] == 'linears')}.{parts[-1]}"
        elif parts[0] == "masks":
            key = f"mask_estimators.{parts[1]}.to_freqs.{parts[3]}.0.{parts[4]}.{parts[-1]}"
        else:
            layer = f"layers.{parts[1]}.{int(parts[2] == 'bands')}"
            inner = {
                "attention.norm": "layers.0.0.norm",
                "attention.qkv": "layers.0.0.to_qkv",
                "attention.gates": "layers.0.0.to_gates",
                "attention.out": "layers.0.0.to_out.0",
                "feed_forward.norm": "layers.0.1.net.0",
                "feed_forward.up": "layers.0.1.net.1",
                "feed_forward.down": "layers.0.1.net.4",
            }
            key = f"{layer}.{inner.get('.'.join(parts[3:-1]), '.'.join(parts[3:-1]))}.{parts[-1]}"
        state[key] = value
    return state


def rates(head_width=8):
    return 10000 ** (-torch.arange(0, head_width, 2) / head_width)


@pytest.mark.parametrize("bands", [SPLIT, MEL])
@pytest.mark.parametrize("stems, target", [(1, "vocals"), (2, "null")])
def test_a_roformer_is_read_with_its_config(tmp_path, bands, stems, target):
    path = config(tmp_path / "model.yaml", bands, stems, target)
    name, settings = read_config(path)
    assert settings["targets"] == (["vocals"] if stems == 1 else ["vocals", "other"])
    assert settings["segment"] == pytest.approx(4096 / 44100)
    net = build(name, **settings).eval()
    assert net.settings["mask_layers"] == (1 if bands == SPLIT else 2) and net.zero_dc
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.3)
    state = {**roformer_state(net), "layers.0.0.layers.0.0.rotary_embed.freqs": rates()}
    weights = tmp_path / "model.ckpt"
    torch.save({"state_dict": state}, weights)
    separator = separation.get(weights, "cpu", config=path)
    song = noise(2, 10_000)
    with torch.no_grad():
        expected = net(song[None])
    for target_name, estimate in separator.separate(song).items():
        wanted = expected[target_name] if stems > 1 else expected
        torch.testing.assert_close(estimate, wanted[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(bands="embedding: 3"), "it is another network's"),
        (dict(change=("dim: 16", "width: 16")), "it is another network's"),
        (dict(stems=4), r"training names \['vocals'\] as stems; num_stems=4 were expected"),
        (dict(change=("linear_transformer_depth: 0", "linear_transformer_depth: 2")), "does not k"),
        (dict(change=("heads: 2", "heads: 2\n  magic: 7")), "model has magic=7, which"),
        (dict(change=("heads: 2", "heads: two")), "heads='two': a whole number"),
        (
            dict(change=("mask_estimator_depth: 2", "mask_estimator_depth: x")),
            "a whole number from",
        ),
        (dict(change=("audio:", "a: !!python/object/apply:os.system [ls]\naudio:")), "as yaml"),
        (dict(change=("audio:", "[audio:")), "cannot be read as yaml"),
        (dict(change=("heads: 2", "heads: !!bool 2")), "cannot be read as yaml"),
        (dict(change=("heads: 2", "heads: !!timestamp two")), "cannot be read as yaml"),
        (dict(change=("heads: 2", 'heads: !!int ""')), "cannot be read as yaml"),
        (dict(change=("sample_rate: 44100", "sample_rate: 0")), "sample_rate=0: a whole number f"),
        (dict(change=("chunk_size: 4096", f"chunk_size: {'9' * 400}")), "number from 1 to 1000000"),
        (dict(change=("dim: 16", "dim: 32")), "has shape"),
        (dict(change=("depth: 2\n  stereo", "depth: 3\n  stereo")), "lacks blocks.2"),
    ],
)
def test_a_config_of_another_network_is_refused_in_a_line(tmp_path, options, message):
    name, settings = read_config(config(tmp_path / "good.yaml"))
    net = build(name, **settings)
    weights = tmp_path / "model.ckpt"
    torch.save(roformer_state(net), weights)
    path = config(tmp_path / "model.yaml", **options)
    with pytest.raises(SepkitError, match=message) as error:
        load(weights, config=path)
    assert "\n" not in str(error.value)


def test_other_rates_than_the_papers_are_refused(tmp_path):
    path = config(tmp_path / "model.yaml")
    name, settings = read_config(path)
    state = roformer_state(build(name, **settings))
    torch.save(
        {**state, "layers.0.0.layers.0.0.rotary_embed.freqs": 2 * rates()}, tmp_path / "m.pt"
    )
    with pytest.raises(SepkitError, match="are not the rates of the paper"):
        load(tmp_path / "m.pt", config=path)


@pytest.mark.parametrize(
    "content, message",
    [("x" * 200_000, "larger than 100000 bytes"), ("3", "names and values"), ("\xff", "names and")],
)
def test_files_that_are_no_configs(tmp_path, content, message):
    (tmp_path / "model.yaml").write_text(content, encoding="latin-1")
    torch.save({}, tmp_path / "m.pt")
    with pytest.raises(SepkitError, match=message if content != "\xff" else "cannot be read as"):
        load(tmp_path / "m.pt", config=tmp_path / "model.yaml")


@pytest.mark.parametrize("where", ["num_stems: 1", "target_instrument: vocals", "heads: 2"])
def test_aliases_within_aliases_are_refused_before_they_grow(tmp_path, where):
    """Eight lines that stand for 10^9 strings: written out, in a message too, they fill memory."""
    lines = ["x0: &x0 [" + ", ".join("x" * 10) + "]"]
    for n in range(1, 9):
        lines.append(f"x{n}: &x{n} [" + ", ".join([f"*x{n - 1}"] * 10) + "]")
    change = (where, where.partition(":")[0] + ": *x8")
    path = config(tmp_path / "model.yaml", change=change)
    assert "*x8" in path.read_text()
    path.write_text("\n".join([*lines, path.read_text()]))
    with pytest.raises(SepkitError, match=r"model.yaml: has the alias \*x0; write its value out"):
        read_config(path)


def test_a_config_needs_a_file_of_weights(tmp_path):
    path = config(tmp_path / "model.yaml")
    for name in ("umxhq", tmp_path / "missing.ckpt"):
        with pytest.raises(SepkitError, match="no such file; a config"):
            load(name, config=path)
    with pytest.raises(SepkitError, match="hpss: no file of weights"):
        separation.get("hpss", config=path)


# Demucs


def drawn(seed, **settings):
    torch.manual_seed(seed)
    net = build("htdemucs", **{**DEMUCS, "heads": 8, **settings}).eval()
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return net


def write(path, net):
    """As the authors' file, less the class that it names: tests of that are with its reader."""
    state = {key: value.half() for key, value in demucs_state(net).items()}
    if path.suffix == ".th":
        torch.save({"args": (), "kwargs": {"depth": 2}, "state": state}, path)
    else:
        save_file(state, path, metadata={"klass": "demucs.htdemucs.HTDemucs"})
    return path


def half(net):
    """The network with its weights rounded as the file has them."""
    net.load_state_dict({key: value.half().float() for key, value in net.state_dict().items()})
    return net


@pytest.mark.parametrize("suffix", [".th", ".safetensors"])
@pytest.mark.parametrize("settings", [{}, dict(bottleneck=0)])
def test_a_file_of_htdemucs_says_by_its_shapes_what_it_is(tmp_path, suffix, settings):
    net = drawn(0, **settings)
    found = load(write(tmp_path / f"955717e8{suffix}", net))
    assert found.settings == net.settings
    with torch.no_grad():
        torch.testing.assert_close(
            found.estimate(noise(1, 2, 900)), half(net).estimate(noise(1, 2, 900))
        )


def bag(folder, weights, names=("aaaa", "bbbb", "cccc", "dddd"), suffix=".th", segment=7.8):
    """A bag, and its networks in files named by signature and hash."""
    nets = [drawn(seed) for seed in range(len(names))]
    for name, net in zip(names, nets):
        write(folder / (f"{name}-1234{suffix}" if suffix == ".th" else f"{name}{suffix}"), net)
    path = folder / "bag.yaml"
    path.write_text(f"models: [{', '.join(names)}]\nweights: {weights}\nsegment: {segment}\n")
    return path, nets


IDENTITY = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


def test_of_a_bag_each_network_is_for_its_stem(tmp_path):
    path, nets = bag(tmp_path, IDENTITY[::-1], suffix=".safetensors")
    bundle = load(path)
    assert set(bundle) == set(STEMS_OF_DEMUCS)
    mixture = noise(1, 2, 900)
    with torch.no_grad():
        for k, target in enumerate(STEMS_OF_DEMUCS):
            expected = half(nets[3 - k]).estimate(mixture)[:, k]
            found = bundle[target].estimate(mixture)[:, 0]
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert separation.get(path, "cpu").targets == ("vocals", "drums", "bass", "other")


def test_a_bag_of_one_is_that_network(tmp_path):
    path, _ = bag(tmp_path, "null", names=("aaaa",))
    assert list(load(path)) == ["+".join(STEMS_OF_DEMUCS)]


@pytest.mark.parametrize("segment, expected", [(2.5, 2.5), (44, 7.8), ("null", 7.8)])
def test_a_bag_says_how_long_the_pieces_are_up_to_what_the_network_was_trained_with(
    tmp_path, segment, expected
):
    path, _ = bag(tmp_path, "null", names=("aaaa",), segment=segment)
    (net,) = load(path).values()
    assert net.segment == net.settings["segment"] == expected


@pytest.mark.parametrize("segment", ["-1", "long", "[1]"])
def test_a_segment_that_is_no_length_is_refused(tmp_path, segment):
    path, _ = bag(tmp_path, "null", names=("aaaa",), segment=segment)
    with pytest.raises(SepkitError, match="bag.yaml: segment .*: seconds above 0 were expected"):
        load(path)


def test_a_half_downloaded_bag_names_what_is_missing(tmp_path):
    path, _ = bag(tmp_path, IDENTITY)
    (tmp_path / "cccc-1234.th").rename(tmp_path / "cccc-1234.th.part")
    with pytest.raises(SepkitError, match="bag.yaml: cccc is missing beside it .*download it too"):
        load(path)


def test_a_file_of_a_bag_that_ends_too_early_is_named(tmp_path):
    path, _ = bag(tmp_path, IDENTITY)
    file = tmp_path / "bbbb-1234.th"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(SepkitError, match="bbbb-1234.th: (cannot be read|refused)") as error:
        load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "weights", ["null", [[1.0, 0.0, 0.0, 3.0], [1.0, 0.0, 0.5, 1.0], [0.0, 2.0, 0.5, 0.0]]]
)
def test_a_bag_that_averages_gives_the_weighted_mean_of_its_networks(tmp_path, weights):
    """The sum of weight times estimate over the sum of weights, for each stem."""
    path, nets = bag(tmp_path, weights, names=("aaaa", "bbbb", "cccc"))
    table = torch.ones(3, 4) if weights == "null" else torch.tensor(weights)
    (ensemble,) = load(path).values()
    for net in (*ensemble.networks, *nets):
        net.segment = None  # shorter audio is filled up to a segment, which takes seconds
    song = noise(2, 900)
    estimates = separation.ModelSeparator(ensemble, device="cpu").separate(song)
    with torch.no_grad():
        each = torch.stack([half(net)(song[None])[t][0] for net in nets for t in STEMS_OF_DEMUCS])
    expected = (table[..., None, None] * each.view(3, 4, 2, 900)).sum(0)
    expected = expected / table.sum(0)[:, None, None]
    for k, target in enumerate(STEMS_OF_DEMUCS):
        torch.testing.assert_close(estimates[target], expected[k], atol=1e-5, rtol=1e-4)


def test_of_a_bag_that_averages_no_network_computes_a_stem_that_it_has_no_weight_for(tmp_path):
    path, _ = bag(tmp_path, [[0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 2]], names=("aaaa", "b", "c"))
    (ensemble,) = load(path).values()
    assert [net.targets for net in ensemble.networks] == [
        ("drums", "bass"),
        ("drums", "other", "vocals"),
    ]


def test_networks_of_an_ensemble_must_fit_together(tmp_path):
    vocals, slow = drawn(0, targets=["vocals"]), drawn(1, targets=["vocals"], sample_rate=22050)
    with pytest.raises(SepkitError, match=r"different sample rate \(44100, 22050\)"):
        Ensemble([vocals, slow], [{"vocals": 1}, {"vocals": 1}])
    with pytest.raises(SepkitError, match="a weight for bass of a network for vocals"):
        Ensemble([vocals], [{"bass": 1}])
    with pytest.raises(SepkitError, match="weight of vocals, 0: above 0 was expected"):
        Ensemble([vocals], [{"vocals": 0}])


@pytest.mark.parametrize(
    "weights", [IDENTITY[:3], [[1.0, 0.0]] * 4, [[1, 0, 1, 1]] * 4, [[1, -1, 1, 1]] * 4, "3"]
)
def test_weights_that_are_no_table_of_models_and_stems_are_refused(tmp_path, weights):
    path, _ = bag(tmp_path, weights)
    with pytest.raises(SepkitError, match="bag.yaml: weights of a bag are a row for each of its 4"):
        load(path)


@pytest.mark.parametrize("names", ["[../aaaa]", "3", "[]", "[7]"])
def test_signatures_are_no_paths(tmp_path, names):
    (tmp_path / "bag.yaml").write_text(f"models: {names}\n")
    with pytest.raises(SepkitError, match="no signature of a model|a list of models"):
        load(tmp_path / "bag.yaml")


def test_weights_that_say_nothing_of_themselves_ask_for_a_config(tmp_path):
    for content in ({"fc.weight": torch.ones(2)}, {"encoder.0.conv.weight": torch.ones(2)}):
        torch.save(content, tmp_path / "model.ckpt")
        with pytest.raises(SepkitError, match="for a RoFormer give its yaml file too: --config"):
            load(tmp_path / "model.ckpt")


def test_six_stems_for_songs_of_four_are_told(tmp_path):
    """guitar and piano have no true stem there: one line, and no score of theirs."""
    from sepkit.datasets import MemoryTrack
    from sepkit.evaluation import evaluate

    net = drawn(0, targets=[*STEMS_OF_DEMUCS, "guitar", "piano"], segment=None)
    stems = {name: noise(2, 50_000, seed=k) for k, name in enumerate(STEMS_OF_DEMUCS)}
    track = MemoryTrack("song", stems, 44100)
    separator, findings = separation.ModelSeparator(net, device="cpu"), []
    scores = evaluate(separator, [track], metrics=("usdr",), notice=None, findings=findings)
    assert {score.target for score in scores} == set(STEMS_OF_DEMUCS)
    (told,) = [str(finding) for finding in findings if finding.kind == "unknown stems"]
    assert told.startswith("song: the song has no guitar and no piano: not scored, and if")


def test_a_published_set_of_one_network_a_stem_costs_one_network_a_stem(tmp_path, monkeypatch):
    """htdemucs_ft through the list of weights: of the file for a stem only that stem is built."""
    from sepkit.models import downloads

    files, nets = {}, {}
    for seed, target in enumerate(("bass", "vocals")):
        nets[target] = drawn(seed)
        path = write(tmp_path / f"{seed}.th", nets[target])
        url = f"http://127.0.0.1:9/{path.name}"
        files[target] = {"url": url, "mirror": None, "size": None, "sha256": sha256(path)[:8]}
    entry = {"model": "htdemucs", "settings": {**DEMUCS, "heads": 8}, "default": True}
    monkeypatch.setattr(downloads, "manifest", lambda: {"ft": {**entry, "files": files}})
    monkeypatch.setattr(downloads, "data_root", lambda: tmp_path / "data")
    bundle = downloads.load_published("ft", base_url=tmp_path)
    mixture = noise(1, 2, 900)
    for target, net in bundle.items():
        assert net.targets == (target,)
        with torch.no_grad():
            expected = half(nets[target]).estimate(mixture)[:, STEMS_OF_DEMUCS.index(target)]
            torch.testing.assert_close(net.estimate(mixture)[:, 0], expected, atol=1e-5, rtol=1e-4)
    (tmp_path / "1.th").unlink()
    (tmp_path / "data/weights/ft/1.th").unlink()
    with pytest.raises(SepkitError, match="ft/vocals: the published weights could not be fetched"):
        downloads.load_published("ft", base_url=tmp_path)
