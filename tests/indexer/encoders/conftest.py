from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.encoders.cache import CACHE_VARIABLE

from . import small_models


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def away_from_home(monkeypatch: pytest.MonkeyPatch, shared_cache: Path, tmp_path: Path) -> Iterator[None]:
    """Keep the user's caches and the network out of it; exports are shared, as they take seconds."""
    monkeypatch.setenv(CACHE_VARIABLE, str(shared_cache))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield


@pytest.fixture(scope="session")
def vit(model_folders: Path) -> Path:
    return small_models.write_model(model_folders / "vit", small_models.VIT, small_models.CLIP_TRANSFORM)


@pytest.fixture(scope="session")
def resnet(model_folders: Path) -> Path:
    return small_models.write_model(
        model_folders / "resnet", small_models.RESNET, small_models.CLIP_TRANSFORM
    )


@pytest.fixture(scope="session")
def siglip(model_folders: Path) -> Path:
    folder = model_folders / "siglip"
    folder.mkdir()
    small_models.write_vocabulary(folder, small_models.WORDS, size=400, context_length=16)
    return small_models.write_model(folder, small_models.SIGLIP, small_models.SIGLIP_TRANSFORM)


@pytest.fixture(scope="session")
def random_builtin(model_folders: Path) -> Path:
    return small_models.write_builtin(model_folders / "builtin")
