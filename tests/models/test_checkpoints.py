"""Checkpoints: what is saved is what is loaded, and what is wrong is named."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from sepkit import files, models
from sepkit.errors import SepkitError
from sepkit.models import build, load, read_header, registry, save

SMALL = dict(hidden=8, layers=1, n_fft=128, hop=32, sample_rate=8000)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build("open-unmix", target="drums", **SMALL)


def test_a_checkpoint_rebuilds_the_model_bit_for_bit(model, tmp_path):
    model(torch.randn(1, 2, 999))  # moves the statistics of batch normalisation
    path = save(tmp_path / "drums.safetensors", model, {"epoch": 3})
    again = load(path)
    assert not again.training and again.settings == model.settings and again.targets == ("drums",)
    for (name, a), b in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b) and a.dtype == b.dtype, name
    assert again.bn1.num_batches_tracked == 1
    mixture = torch.randn(1, 2, 2000)
    assert torch.equal(model.eval()(mixture), again(mixture))
    header = read_header(path)
    assert (header["model"], header["sample_rate"], header["extra"]) == ("open-unmix", 8000, {"epoch": 3})


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
    damage(path, lambda state: state["fc2.weight"].fill_(float("nan")))
    with pytest.raises(SepkitError, match="a.safetensors: fc2.weight holds NaN"):
        load(path)
    torch.nn.init.constant_(model.bn1.bias, float("inf"))
    with pytest.raises(SepkitError, match="bn1.bias holds NaN or infinite"):
        save(tmp_path / "b.safetensors", model)
    assert not (tmp_path / "b.safetensors").exists()


def damage(path, change, **header):
    state, about = load_file(path), read_header(path)
    changed = change(state)
    save_file(changed if isinstance(changed, dict) else state, path, metadata={"sepkit": json.dumps({**about, **header})})


def without(key):
    return lambda state: {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    "change, header, message",
    [
        (without("fc3.weight"), {}, "lacks fc3.weight"),
        (lambda s: {**s, "extra.weight": torch.ones(1)}, {}, "has unexpected extra.weight"),
        (lambda s: {**s, "fc1.weight": torch.ones(3, 3)}, {}, r"fc1.weight has shape \(3, 3\)"),
        (lambda s: {f"x{i}": torch.ones(1) for i in range(9)}, {}, r"lacks .* and \d+ more, has unexpected x0, x1, x2 and 6 more"),
        (lambda s: s, {"model": "wave-net-9"}, "unknown model 'wave-net-9'"),
        (lambda s: s, {"settings": {"hiden": 3}}, "unknown setting of open-unmix 'hiden'"),
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
    with pytest.raises(SepkitError, match="neither a checkpoint nor a model; give a file, a folder or one of open-unmix, "):
        load(tmp_path / "missing.safetensors")
    with pytest.raises(SepkitError, match="must end in .safetensors"):
        save(tmp_path / "a.pth", model)


def test_another_models_checkpoint_is_refused(model, tmp_path):
    path = save(tmp_path / "a.safetensors", model)
    assert load(path, model="open-unmix").targets == ("drums",)
    with pytest.raises(SepkitError, match="a checkpoint of open-unmix, where one of resunet was expected"):
        load(path, model="resunet")


def test_a_folder_is_a_bundle_of_targets(tmp_path):
    for target in ("vocals", "drums"):
        save(tmp_path / f"{target}.safetensors", build("open-unmix", target=target, **SMALL))
    bundle = load(tmp_path)
    assert {name: model.targets for name, model in bundle.items()} == {"vocals": ("vocals",), "drums": ("drums",)}
    save(tmp_path / "drums2.safetensors", build("open-unmix", target="drums", **SMALL))
    with pytest.raises(SepkitError, match="a second checkpoint for drums"):
        load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SepkitError, match="no checkpoint"):
        load(tmp_path / "empty")


def test_a_models_name_loads_what_is_shipped(model, tmp_path, monkeypatch):
    from sepkit.models import checkpoints

    monkeypatch.setattr(checkpoints, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    with pytest.raises(SepkitError, match="no checkpoints of open-unmix come with sepkit; train some"):
        load("open-unmix")
    save(tmp_path / "checkpoints" / "open-unmix-student" / "drums.safetensors", model)
    assert list(load("open-unmix")) == ["drums"]


def test_shipped_checkpoints_are_small_enough():
    folder = files.shipped("checkpoints", "open-unmix-student")
    if not folder.is_dir():
        pytest.skip("no checkpoints are shipped yet; make checkpoints trains them")
    assert sorted(load("open-unmix")) == ["bass", "drums", "other", "vocals"]
    assert max(path.stat().st_size for path in folder.parent.glob("*/*.safetensors")) <= 12e6
    assert sum(path.stat().st_size for path in folder.parent.glob("*/*.safetensors")) <= 24e6  # they are cloned by everybody


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
    for name in models.MODELS:
        model = registry.build(name)
        assert model.name == name
        assert model.settings == {**model.settings, "sample_rate": model.sample_rate, "channels": model.channels}
        assert type(model)(**model.settings).settings == model.settings
