"""Checkpoints: what is saved is what is loaded, and what is wrong is named."""

import json
import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from sepkit import files, models
from sepkit.errors import SepkitError
from sepkit.models import build, checkpoints, load, read_header, registry, save

SMALL = dict(hidden=8, layers=1, n_fft=128, hop=32, sample_rate=8000)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build("open-unmix", target="drums", **SMALL)


def test_a_checkpoint_rebuilds_the_model_bit_for_bit(model, tmp_path):
    model(torch.randn(1, 2, 999))  # moves the statistics of batch normalisation
    path = save(tmp_path / "drums.safetensors", model, {"epoch": 3})
    assert (
        path.read_bytes() == save(tmp_path / "again.safetensors", model, {"epoch": 3}).read_bytes()
    )
    again = load(path)
    assert not again.training and again.settings == model.settings and again.targets == ("drums",)
    for (name, a), b in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b) and a.dtype == b.dtype, name
    assert again.bn1.num_batches_tracked == 1
    mixture = torch.randn(1, 2, 2000)
    assert torch.equal(model.eval()(mixture), again(mixture))
    header = read_header(path)
    assert (header["model"], header["sample_rate"], header["extra"]) == (
        "open-unmix",
        8000,
        {"epoch": 3},
    )


def test_half_precision_halves_the_file_and_keeps_vectors_exact(tmp_path):
    model = build("open-unmix", hidden=64, n_fft=1024, hop=256)
    whole = save(tmp_path / "whole.safetensors", model)
    half = save(tmp_path / "half.safetensors", model, half=True)
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    again = load(half)
    assert again.fc1.weight.dtype == torch.float32
    for name, value in model.state_dict().items():
        got = again.state_dict()[name]
        tolerance = 0 if value.ndim < 2 else 1e-3 * value.abs().max()
        assert (got - value).abs().max() <= tolerance, name


def test_weights_that_are_not_numbers_are_not_saved_nor_loaded(model, tmp_path):
    path = save(tmp_path / "a.safetensors", model)
    damage(path, lambda state: {**state, "fc2.weight": state["fc2.weight"] * float("nan")})
    with pytest.raises(SepkitError, match="a.safetensors: fc2.weight holds NaN"):
        load(path)
    torch.nn.init.constant_(model.bn1.bias, float("inf"))
    with pytest.raises(SepkitError, match="bn1.bias holds NaN or infinite"):
        save(tmp_path / "b.safetensors", model)
    assert not (tmp_path / "b.safetensors").exists()


def damage(path, change=lambda state: state, **header):
    """Write a checkpoint again as somebody might who knows the format, with the right digest."""
    state = load_file(path)
    changed = change(state)
    state = changed if isinstance(changed, dict) else state
    header = json.loads(json.dumps({"format": 2, **read_header(path), **header}))
    save_file(
        state,
        path,
        metadata={"sepkit": json.dumps({**header, "sha256": checkpoints._digest(header, state)})},
    )


def without(key):
    return lambda state: {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    "change, header, message",
    [
        (without("fc3.weight"), {}, "lacks fc3.weight"),
        (lambda s: {**s, "extra.weight": torch.ones(1)}, {}, "has unexpected extra.weight"),
        (lambda s: {**s, "fc1.weight": torch.ones(3, 3)}, {}, r"fc1.weight has shape \(3, 3\)"),
        (
            lambda s: {f"x{i}": torch.ones(1) for i in range(9)},
            {},
            r"lacks .* and \d+ more, has unexpected x0, x1, x2 and 6 more",
        ),
        (lambda s: s, {"model": "wave-net-9"}, "unknown model 'wave-net-9'"),
        (lambda s: s, {"settings": {"hiden": 3}}, "unknown setting of open-unmix 'hiden'"),
        (
            lambda s: {**s, "bn1.num_batches_tracked": torch.tensor(1.0)},
            {},
            "bn1.num_batches_tracked holds F32, where I64",
        ),
        (
            lambda s: {**s, "fc1.weight": s["fc1.weight"].int()},
            {},
            "fc1.weight holds I32, where F16 or BF16",
        ),
        (
            lambda s: s,
            {"format": 3},
            "of format 3, this sepkit reads up to 2; install a newer sepkit",
        ),
        (lambda s: s, {"format": "2"}, "has no format number"),
        (lambda s: s, {"extra": [1]}, "has no usable extra"),
        (lambda s: s, {"model": ["open-unmix"]}, "has no usable model"),
        (lambda s: s, {"targets": []}, "is for no target"),
        (
            lambda s: s,
            {"targets": ["bass"]},
            "says one thing of targets and sample rate, and another in the settings",
        ),
        (
            lambda s: s,
            {"sample_rate": 16000},
            "says one thing of targets and sample rate, and another in the settings",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(model, tmp_path, change, header, message):
    path = save(tmp_path / "a.safetensors", model)
    damage(path, change, **header)
    with pytest.raises(SepkitError, match=message) as error:
        load(path)
    assert "a.safetensors" in str(error.value) and "\n" not in str(error.value)


def test_damaged_and_foreign_files_are_named(model, tmp_path):
    path = save(tmp_path / "a.safetensors", model)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:5], b"", b"RIFF not weights at all"):
        path.write_bytes(content)
        with pytest.raises(SepkitError, match="a.safetensors: not a checkpoint, or truncated"):
            load(path)
    save_file({"w": torch.ones(2)}, path)
    with pytest.raises(SepkitError, match="not what model they are for"):
        load(path)
    with pytest.raises(
        SepkitError,
        match="neither a checkpoint nor a model; give a file, a folder or one of open-unmix, ",
    ):
        load(tmp_path / "missing.safetensors")
    with pytest.raises(SepkitError, match="must end in .safetensors"):
        save(tmp_path / "a.pth", model)


def test_another_models_checkpoint_is_refused(model, tmp_path):
    path = save(tmp_path / "a.safetensors", model)
    assert load(path, model="open-unmix").targets == ("drums",)
    with pytest.raises(
        SepkitError, match="a checkpoint of open-unmix, where one of resunet was expected"
    ):
        load(path, model="resunet")


def test_a_folder_is_a_bundle_of_targets(tmp_path):
    for target in ("vocals", "drums"):
        save(tmp_path / f"{target}.safetensors", build("open-unmix", target=target, **SMALL))
    bundle = load(tmp_path)
    assert {name: model.targets for name, model in bundle.items()} == {
        "vocals": ("vocals",),
        "drums": ("drums",),
    }
    save(tmp_path / "drums2.safetensors", build("open-unmix", target="drums", **SMALL))
    with pytest.raises(SepkitError, match="a second checkpoint for drums"):
        load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SepkitError, match="no checkpoint"):
        load(tmp_path / "empty")


def test_a_models_name_loads_what_is_shipped(model, tmp_path, monkeypatch):
    from sepkit.models import checkpoints, downloads

    monkeypatch.setattr(checkpoints, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    monkeypatch.setattr(downloads, "manifest", dict)  # whose networks a name stands for otherwise
    with pytest.raises(
        SepkitError, match="no checkpoints of open-unmix come with sepkit; train some"
    ):
        load("open-unmix")
    save(tmp_path / "checkpoints" / "open-unmix-student" / "drums.safetensors", model)
    assert list(load("open-unmix")) == ["drums"]


def test_shipped_checkpoints_are_small_enough():
    folder = files.shipped("checkpoints", "open-unmix-student")
    if not folder.is_dir():
        pytest.skip("no checkpoints are shipped yet; make checkpoints trains them")
    assert sorted(load("open-unmix")) == ["bass", "drums", "other", "vocals"]
    assert max(path.stat().st_size for path in folder.parent.glob("*/*.safetensors")) <= 12e6
    assert (
        sum(path.stat().st_size for path in folder.parent.glob("*/*.safetensors")) <= 40e6
    )  # they are cloned by everybody


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"hidden": 10**9}, "hidden=1000000000: a whole number from 1 to 65536 was expected"),
        ({"hidden": -8}, "hidden=-8: a whole number"),
        ({"hidden": "8"}, "hidden='8': a whole number"),
        ({"hidden": True}, "hidden=True: a whole number"),
        ({"hidden": [8]}, r"hidden=\[8\]: a whole number"),
        ({"layers": 10**6}, "layers=1000000: a whole number from 1 to 64"),
        ({"layers": 10**400}, "layers=1000000000.*: a whole number from 1 to 64"),
        ({"sample_rate": 0}, "sample_rate=0: "),
        ({"hop": 10**9}, "hop=1000000000: "),
        ({"bandwidth": float("nan")}, "bandwidth=nan: a number"),
        ({"bandwidth": None}, "bandwidth=None: a number"),
        ({"unidirectional": 1}, "unidirectional=1: true or false"),
        ({"loss": {}}, "loss={}: a name"),
        ({"target": "../drums"}, "target='../drums': a plain name, without folders"),
        (
            {"hidden": 65536},
            "has shape .8, 130., but these settings of open-unmix need .65536, 130.",
        ),
    ],
)
def test_settings_beyond_reason_take_no_memory(model, tmp_path, settings, message):
    path = save(tmp_path / "a.safetensors", model)
    damage(path, settings={**model.settings, **settings})
    resource = pytest.importorskip("resource", reason="counts memory as POSIX does")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SepkitError, match=message) as error:
        load(path)
    assert (
        "a.safetensors" in str(error.value)
        and "\n" not in str(error.value)
        and len(str(error.value)) < 700
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # kB


@pytest.mark.parametrize(
    "name",
    [
        "/tmp/x",
        "../x",
        "..",
        "a/b",
        "a\\b",
        "C:x",
        "",
        " ",
        ".x",
        "x.",
        "nul",
        "COM1.wav",
        "a\0",
        "a\nb",
        7,
        "é" * 100,
        "\u202evav",
    ],
)
def test_a_target_is_a_plain_name(model, tmp_path, name):
    """Stems are written under these names: they once replaced files outside the output folder."""
    path = save(tmp_path / "a.safetensors", model)
    damage(path, settings={**model.settings, "target": name}, targets=[name])
    for look in (load, read_header):
        with pytest.raises(
            SepkitError, match="a.safetensors: the target .* expected a plain name"
        ) as error:
            look(path)
        assert "\n" not in str(error.value)


def test_descriptions_that_are_no_plain_json_are_refused(model, tmp_path):
    path = save(tmp_path / "a.safetensors", model)
    state, text = load_file(path), json.dumps(read_header(path))
    for wrong, message in {
        "[" * 100_000: "too deeply",
        text[:50]: "not a JSON file",
        '{"format": 2, "format": 2}': "is there twice",
        '{"format": ' + "9" * 10_000 + "}": "not a JSON file",
        "[]": "no format number",
        "null": "no format number",
    }.items():
        save_file(state, path, metadata={"sepkit": wrong})
        with pytest.raises(SepkitError, match=f"a.safetensors: .*{message}") as error:
            load(path)
        assert "\n" not in str(error.value)


def test_checkpoints_without_a_digest_are_those_of_format_1(model, tmp_path):
    """As they come with sepkit; one of today that has lost its digest is damaged."""
    path = save(tmp_path / "a.safetensors", model)
    state, about = load_file(path), read_header(path)
    save_file(state, path, metadata={"sepkit": json.dumps({**about, "format": 1})})
    assert all(torch.equal(value, state[key]) for key, value in load(path).state_dict().items())
    save_file(state, path, metadata={"sepkit": json.dumps({**about, "format": 2})})
    with pytest.raises(
        SepkitError, match="a.safetensors: damaged, its contents are not those that were saved"
    ):
        load(path)


def _spoilt(whole, generator):
    """What disks and networks do to a file: bits flipped, a piece missing, zeros in its place."""
    content = bytearray(whole)
    where = generator.choice(
        [generator.randrange(len(whole)), generator.randrange(min(3000, len(whole)))]
    )
    kind = generator.randrange(4)
    if kind <= 1:
        for _ in range(generator.choice([1, 1, 3])):
            content[(where + generator.randrange(64)) % len(whole)] ^= 1 << generator.randrange(8)
    elif kind == 2:
        del content[where : generator.choice([where + 1, where + 100, len(whole)])]
    else:
        content[where : where + 50] = bytes(len(content[where : where + 50]))
    return bytes(content)


def test_a_damaged_checkpoint_is_refused_or_loads_bit_for_bit(model, tmp_path):
    path = save(tmp_path / "a.safetensors", model, {"epoch": 3})
    whole, wanted, generator = path.read_bytes(), load(path), random.Random(0)
    refused = 0
    for _ in range(300):
        path.write_bytes(_spoilt(whole, generator))
        try:
            again = load(path)
        except SepkitError as error:
            assert (
                "a.safetensors" in str(error) and str(error).isprintable() and len(str(error)) < 700
            ), error
            refused += 1
            continue
        assert again.settings == wanted.settings and read_header(path)["extra"] == {"epoch": 3}
        assert all(
            torch.equal(value, again.state_dict()[key])
            for key, value in wanted.state_dict().items()
        )
    assert refused > 280  # what remains are zeros over zeros


def test_an_interrupted_save_leaves_the_old_checkpoint(model, tmp_path, monkeypatch):
    from sepkit.models import checkpoints

    path = save(tmp_path / "a.safetensors", model)
    before = path.read_bytes()

    def broken(state, temporary, metadata):
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save_file", broken)
    with pytest.raises(KeyboardInterrupt):
        save(path, model)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_every_registered_model_keeps_the_contract():
    """Its settings rebuild it, and outline it: names, shapes and types, without random numbers."""
    for name in models.MODELS:
        model = registry.build(name)
        assert model.name == name
        assert model.settings == {
            **model.settings,
            "sample_rate": model.sample_rate,
            "channels": model.channels,
        }
        before = torch.get_rng_state()
        outline = registry.outline(name, **model.settings)
        assert torch.equal(torch.get_rng_state(), before) and outline.settings == model.settings
        assert _layout(outline) == _layout(model) and outline.targets == model.targets


def _layout(model):
    return {key: (value.shape, value.dtype) for key, value in model.state_dict().items()}


@pytest.mark.parametrize("name", checkpoints.shipped_sets())
def test_what_ships_is_what_its_manifest_says(name):
    folder = files.shipped("checkpoints", name)
    told = json.loads((folder / "manifest.json").read_text())["files"]
    found = {path.name: path for path in folder.glob("*.safetensors")}
    assert set(told) == set(found)
    for file, path in found.items():
        size = path.stat().st_size
        assert told[file] == {"bytes": size, "sha256": files.sha256(path)} and size <= 12e6
        network = load(path)
        noise = 0.1 * torch.randn(1, network.channels, network.sample_rate)
        with torch.no_grad():
            heard = network(noise)
        assert network.targets == (path.stem,) and heard.isfinite().all() and heard.any()


def test_all_networks_that_ship_take_at_most_40_MB():
    folder = files.shipped("checkpoints")
    assert sum(path.stat().st_size for path in folder.rglob("*.safetensors")) <= 40e6
