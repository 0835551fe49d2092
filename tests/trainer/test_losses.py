import torch
from torch.nn import functional

from trainer.losses import multi_positive_contrastive


def unit(rows: int, seed: int) -> torch.Tensor:
    return functional.normalize(torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_with_one_text_per_image_it_is_clips_loss() -> None:
    images, texts, scale = unit(6, 1), unit(6, 2), torch.tensor(10.0)
    keys = torch.arange(6)
    logits = scale * images @ texts.T
    clip = (functional.cross_entropy(logits, keys) + functional.cross_entropy(logits.T, keys)) / 2
    torch.testing.assert_close(multi_positive_contrastive(images, texts, keys, keys, scale), clip)


def pull_on_second_text(second_key: int) -> float:
    """How far a step of gradient descent would move a second text towards the image."""
    image, texts = unit(1, 3), unit(2, 4).requires_grad_()
    keys, scale = torch.tensor([7]), torch.tensor(5.0)
    loss = multi_positive_contrastive(image, texts, keys, torch.tensor([7, second_key]), scale)
    (gradient,) = torch.autograd.grad(loss, texts)
    return float(-(gradient[1] @ image[0]))


def test_a_second_caption_of_the_same_image_is_pulled_and_a_foreign_one_is_pushed() -> None:
    assert pull_on_second_text(7) > 0 > pull_on_second_text(8)


def test_texts_without_an_image_push_the_loss_up_and_never_pull() -> None:
    images, texts, scale = unit(4, 4), unit(4, 5), torch.tensor(10.0)
    keys = torch.arange(4)
    extra, extra_keys = unit(3, 6), torch.tensor([90, 91, 92])
    plain = multi_positive_contrastive(images, texts, keys, keys, scale)
    crowded = multi_positive_contrastive(
        images, torch.cat([texts, extra]), keys, torch.cat([keys, extra_keys]), scale
    )
    assert crowded > plain
