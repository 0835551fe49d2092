import numpy as np
import pytest
import torch
from torch.nn import functional

from search import regions_pacl
from trainer.pacl import PatchEmbedder, compatibility, pacl_loss


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def unit(*shape: int) -> torch.Tensor:
    return functional.normalize(torch.randn(*shape), dim=-1)


def naive(patches: torch.Tensor, texts: torch.Tensor, temperature: float) -> torch.Tensor:
    """Pool every pair of its own, as the paper writes it."""
    similar = torch.einsum("bnd,cd->bcn", patches, texts)
    pooled = torch.einsum("bcn,bnd->bcd", torch.softmax(similar / temperature, dim=-1), patches)
    return functional.cosine_similarity(pooled, texts[None], dim=-1)


def test_scores_and_gradients_equal_those_of_the_naive_form():
    patches, texts = unit(4, 9, 16), unit(5, 16)
    gradients = []
    for form in (compatibility, naive):
        leaf = patches.clone().requires_grad_()
        form(leaf, texts, 0.1).square().sum().backward()
        gradients.append(leaf.grad)
    assert torch.allclose(compatibility(patches, texts, 0.1), naive(patches, texts, 0.1), atol=1e-6)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-5)


def test_the_two_floors_compute_the_same():
    patches, texts = unit(3, 7, 16), unit(2, 16)
    ours = regions_pacl.compatibility(patches.numpy(), texts.numpy(), 0.07)
    assert np.abs(compatibility(patches, texts, 0.07).numpy() - ours).max() < 1e-6


def test_own_weights_keep_unrelated_data_at_chance_where_the_captions_weights_would_leak():
    patches, texts = unit(32, 196, 64), unit(32, 64)
    pairs = torch.arange(32)
    honest = (compatibility(patches, texts, 0.1).argmax(dim=1) == pairs).float().mean()
    similar = torch.einsum("bnd,bd->bn", patches, texts)
    pooled = torch.einsum("bn,bnd->bd", torch.softmax(similar / 0.1, dim=-1), patches)
    leaking = ((pooled @ texts.T).argmax(dim=1) == pairs).float().mean()
    assert honest < 0.16
    assert leaking > 0.5


def test_an_embedder_in_the_text_space_begins_as_the_training_free_map():
    patches = unit(2, 9, 16)
    assert torch.allclose(PatchEmbedder(16, 16)(patches), patches, atol=1e-6)


def test_an_embedder_of_the_papers_size_has_its_parameters():
    assert sum(part.numel() for part in PatchEmbedder(768, 512).parameters()) == 1_050_112


def test_training_finds_the_patch_that_belongs_to_the_text():
    texts, keys = unit(256, 16), torch.arange(256)
    places = keys % 9
    patches = unit(256, 9, 16)
    patches[keys, places] = texts @ torch.linalg.qr(torch.randn(16, 16)).Q

    def found(head: PatchEmbedder) -> float:
        nearest = torch.einsum("bnd,bd->bn", head(patches), texts).argmax(dim=1)
        return float((nearest == places).float().mean())

    head = PatchEmbedder(16, 16)
    before = found(head)
    optimiser = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(80):
        optimiser.zero_grad()
        scale = torch.tensor(20.0)
        pacl_loss(head(patches), texts, torch.eye(256), scale=scale, temperature=0.1).backward()
        optimiser.step()
    assert before < 0.25
    assert found(head) > 0.7


def test_texts_of_one_image_are_no_negatives_of_it():
    patches, text = unit(2, 9, 16), unit(1, 16)
    options = {"scale": torch.tensor(20.0), "temperature": 0.1}
    twice = torch.cat([text, text])
    same = pacl_loss(patches, twice, torch.tensor([[1.0, 1.0], [0.0, 0.0]]), **options)
    rivals = pacl_loss(patches, twice, torch.eye(2), **options)
    assert not torch.isclose(same, rivals)
