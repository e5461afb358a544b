import sys
from urllib.error import URLError

import pytest
import torch
import torchvision.models as zoo

from raysynth.errors import UserError
from raysynth.models.backbone import DEFAULT_BACKBONE, load_backbone


@pytest.fixture(scope="module")
def lite0():
    return load_backbone(side=64).eval()


@torch.no_grad()
def test_the_default_comes_with_its_weights(lite0):
    """ImageNet weights: features of a noise image and of a smooth one differ, and both are alike every time."""
    images = torch.stack([torch.rand(1, 32, 32) * 2 - 1, torch.linspace(-1, 1, 32).expand(1, 32, 32)])
    features = lite0(images)
    assert features.shape == (2, lite0.num_features) == (2, 1280)
    assert torch.equal(features, load_backbone(side=64).eval()(images))
    random = load_backbone(side=64, pretrained=False).eval()(images)
    assert not torch.allclose(features, random)
    assert (features >= 0).all()  # ReLU6


@torch.no_grad()
def test_grey_is_repeated_and_resized(lite0):
    grey = torch.rand(2, 1, 64, 64) * 2 - 1
    torch.testing.assert_close(lite0(grey), lite0(grey.repeat(1, 3, 1, 1)))
    flat = torch.full((1, 1, 20, 20), 0.25)
    torch.testing.assert_close(lite0(flat), lite0(torch.full((1, 1, 64, 64), 0.25)), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_torchvisions_by_name_with_weights_from_a_file(tmp_path):
    torch.manual_seed(0)
    network = zoo.resnet18(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "w.pt")
    backbone = load_backbone("resnet18", weights=str(tmp_path / "w.pt"), side=64).eval()
    assert backbone.num_features == 512
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    standard = ((images + 1) / 2 - backbone.mean) / backbone.deviation
    torch.testing.assert_close(network.fc(backbone(images)), network(standard), rtol=1e-4, atol=1e-4)


def test_what_cannot_be_had_is_named(tmp_path, monkeypatch):
    for side in (63, 225):
        with pytest.raises(UserError, match=f"--input-size {side}: want 64 to 224"):
            load_backbone(side=side)
    with pytest.raises(UserError, match=f"--backbone resnet: neither {DEFAULT_BACKBONE} nor .* resnet18"):
        load_backbone("resnet")
    with pytest.raises(UserError, match=r"--input-size 96: vit_b_32 cannot take it .* try 224"):
        load_backbone("vit_b_32", side=96, pretrained=False)

    def no_network(*args, **options):
        raise URLError("no route")

    monkeypatch.setattr(zoo, "get_model", no_network)
    with pytest.raises(UserError, match=r"--backbone resnet18: .* cannot be downloaded here .* --weights FILE"):
        load_backbone("resnet18")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"no weights", "cannot be read"), ([1], "holds a list"), ({}, "294 of the backbone")],
)
def test_weights_that_do_not_fit_are_named(content, message, tmp_path):
    file = tmp_path / "w.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(UserError, match=f"--weights .*w.pt: .*{message}") as error:
        load_backbone(weights=str(file), side=64)
    assert "\n" not in str(error.value)


def test_weights_run_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (sys.exit, (3,))

    torch.save({"a": Evil()}, tmp_path / "w.pt")
    with pytest.raises(UserError, match="cannot be read"):
        load_backbone(weights=str(tmp_path / "w.pt"), side=64)
