from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from rijksnet.errors import WeightsError
from rijksnet.networks import theta, weights
from rijksnet.networks.architectures import Network, design_as_published
from rijksnet.networks.weights import Design

SHARED_WEIGHTS = Path(__file__).parents[3] / ".." / "shared" / "weights" / "mobilenetv2_100.imagenet1k.safetensors"


@pytest.fixture
def published() -> dict[str, Tensor]:
    """All tensors of a `test_resnet`, its classifier among them."""
    torch.manual_seed(0)
    return dict(timm.create_model("test_resnet").state_dict())


def without_classifier(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# --- from a file ------------------------------------------------------------------------------------------------------


def test_real_weights_give_the_logits_that_timm_gives(tmp_path: Path) -> None:
    if not SHARED_WEIGHTS.is_file():
        pytest.skip(f"{SHARED_WEIGHTS} is not there")
    theta.import_file("mobilenetv2_100", SHARED_WEIGHTS, tmp_path / "θ.safetensors")
    tensors, header = weights.read(tmp_path / "θ.safetensors")
    design, classes = weights.design_in(header, tmp_path)
    assert design == Design("mobilenetv2_100", {"pad_type": "same"}, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert classes == []
    network = Network(design, 1, "pretrained").eval()
    weights.load_backbone(network.backbone, tensors, tmp_path)

    raw = load_file(SHARED_WEIGHTS)
    theirs = timm.create_model("mobilenetv2_100", pad_type="same").eval()
    theirs.load_state_dict(raw, strict=True)
    pixels = torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8)
    x = (pixels.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
    with torch.no_grad():
        features = network.features(pixels)
        torch.testing.assert_close(features, theirs.forward_features(x).mean((2, 3)), rtol=1e-4, atol=1e-4)
        logits = F.linear(features, raw["classifier.weight"], raw["classifier.bias"])
        torch.testing.assert_close(logits, theirs(x), rtol=1e-4, atol=1e-4)
    assert not any(name.startswith("classifier") for name in tensors)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({}, {}),
        ({"mean": "0.5,0.25,0.125", "std": "0.5,1,2"}, {"mean": (0.5, 0.25, 0.125), "std": (0.5, 1.0, 2.0)}),
        (
            {"create_kwargs": "act_layer=silu,norm_layer=batchnorm2d"},
            {"act_layer": "silu", "norm_layer": "batchnorm2d"},
        ),
    ],
)
def test_a_published_file_may_say_how_it_is_built(
    header: dict[str, str], said: dict[str, Any], tmp_path: Path, published: dict[str, Tensor]
) -> None:
    save_file(published, tmp_path / "published", {"architecture": "test_resnet", **header})
    theta.import_file("test_resnet", tmp_path / "published", tmp_path / "θ")
    tensors, found = weights.read(tmp_path / "θ")
    design, _ = weights.design_in(found, tmp_path / "θ")
    timms = design_as_published("test_resnet")
    assert design == (replace(timms, options=said) if "create_kwargs" in header else replace(timms, **said))
    assert same(tensors, without_classifier(published))


def test_a_runs_own_weights_can_be_imported(tmp_path: Path, published: dict[str, Tensor]) -> None:
    design = Design("test_resnet", {}, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    run = {**without_classifier(published), "softmax.weight": torch.ones(3, 96), "softmax.bias": torch.ones(3)}
    weights.save(tmp_path / "run", run, design, ["a", "b", "c"])
    theta.import_file("test_resnet", tmp_path / "run", tmp_path / "θ")
    tensors, header = weights.read(tmp_path / "θ")
    assert weights.design_in(header, tmp_path / "θ") == (design, [])
    assert same(tensors, without_classifier(published))


def test_the_papers_name_and_timms_are_the_same_architecture(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "a", {"architecture": "legacy_xception"})
    with pytest.raises(WeightsError, match="does not fit the network"):  # and not: another architecture
        theta.import_file("xception", tmp_path / "a", tmp_path / "θ")


def test_another_architectures_file_is_refused(tmp_path: Path, published: dict[str, Tensor]) -> None:
    save_file(published, tmp_path / "a", {"architecture": "test_resnet"})
    with pytest.raises(WeightsError, match=r"a is to hold 'test_vit', but its header says 'test_resnet'"):
        theta.import_file("test_vit", tmp_path / "a", tmp_path / "θ")
    assert not (tmp_path / "θ").exists()


def test_a_header_without_architecture_is_refused(tmp_path: Path, published: dict[str, Tensor]) -> None:
    save_file(published, tmp_path / "a", {"model": "test_resnet"})
    with pytest.raises(WeightsError, match=r"a has no `architecture` \(it has \['model'\]\): add it"):
        theta.import_file("test_resnet", tmp_path / "a", tmp_path / "θ")


def test_a_file_with_missing_tensors_is_refused(tmp_path: Path, published: dict[str, Tensor]) -> None:
    del published["layer4.0.conv1.weight"]
    save_file(published, tmp_path / "a", {"architecture": "test_resnet"})
    with pytest.raises(WeightsError, match=r"1 tensors are missing .* the first is 'layer4\.0\.conv1\.weight'"):
        theta.import_file("test_resnet", tmp_path / "a", tmp_path / "θ")
    assert not (tmp_path / "θ").exists()


# --- from the hub -----------------------------------------------------------------------------------------------------


class Hub(ThreadingHTTPServer):
    """Stands in for the hub: serves one file, in the way that `mood` says."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.mood = content, "well"
        self.requests = 0


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.server.requests += 1
        if self.server.mood == "busy":
            self._send(503, {}, b"")
        elif self.server.mood == "without it" or not self.path.endswith("/model.safetensors"):
            self._send(404, {"X-Error-Code": "EntryNotFound"}, b"")
        else:
            content = self.server.content
            digest = hashlib.sha256(content).hexdigest()
            self._send(200, {"ETag": f'"{digest}"', "X-Repo-Commit": "0" * 40}, content)

    def do_GET(self) -> None:
        if "/resolve/" in self.path:
            self.do_HEAD()
        else:
            self._send(404, {}, b"")

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[: len(content) // 2] if self.server.mood == "broken" else content)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hub(published: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of this machine, which the client asks in place of the real one, without waiting between two tries."""
    server = Hub(save(published))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_download_is_saved_as_a_file_of_ours(hub: Hub, published: dict[str, Tensor], tmp_path: Path) -> None:
    theta.download("test_resnet", tmp_path / "θ")
    tensors, header = weights.read(tmp_path / "θ")
    assert weights.design_in(header, tmp_path / "θ") == (design_as_published("test_resnet"), [])
    assert same(tensors, without_classifier(published))
    assert hub.requests > 0


@pytest.mark.parametrize("mood", ["busy", "without it", "broken"])
def test_a_hub_that_does_not_serve_is_asked_a_few_times(mood: str, hub: Hub, tmp_path: Path) -> None:
    hub.mood = mood
    with pytest.raises(WeightsError, match=r"(?s)'test_resnet' could not be downloaded \(.*name the file under"):
        theta.download("test_resnet", tmp_path / "θ")
    assert 0 < hub.requests <= 20
    assert not (tmp_path / "θ").exists()


def test_an_architecture_without_published_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights for 'coatnet_0_224': name a file under imagenet\.file"):
        theta.download("coatnet_0_224", tmp_path / "θ")
