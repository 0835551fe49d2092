"""Accumulation: the gradient of a large batch, computed piece by piece and on several processes, exactly.

Contrastive losses compare every image of a batch with every text, so the losses of pieces do not add up.
GradCache (Gao et al. 2021, arXiv 2101.06983) does it in two passes: all pieces are encoded without a graph;
the loss over all vectors gives each vector's gradient; then each piece is encoded again, with its graph, and
the gradient of its vectors is sent back through it. The temperature takes part in the loss once, so its
gradient is right without a correction.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor, distributed, nn

P = TypeVar("P")  # a piece of a batch
Vectors: TypeAlias = tuple[Tensor, Tensor]  # of images and of texts, each (n, dim)
LossOf: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def backward(
    pieces: Sequence[P],
    encode: Callable[[P], Vectors],
    loss_of: LossOf,
    towers: nn.Module,
    *,
    apart: Collection[nn.Parameter] = (),
    scaled: Callable[[Tensor], Tensor] = lambda loss: loss,
) -> Tensor:
    """Leave the gradient of the whole batch in the parameters; gives the loss, a scalar without a graph.

    Where a tower normalises over the images of a piece it is another gradient (`tuning.pieces`).

    pieces: this process's part of the batch; loss_of: of all vectors of all processes, in the order of their
    ranks; towers: whose gradients are added up over the processes, but for those in `apart`, which take part
    in the loss itself and so are whole already; scaled: what float16 multiplies the loss by.
    """
    if len(pieces) == 1 and _world() == 1:
        loss = loss_of(*encode(pieces[0]))
        with _statistics_kept(towers):
            scaled(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()
    states, vectors = _first_pass(pieces, encode, towers)
    loss, gradients = _at_vectors(vectors, loss_of, scaled)
    _second_pass(pieces, encode, towers, states, gradients)
    if _world() > 1:
        _add_up(towers, apart)
    return loss


def _first_pass(
    pieces: Sequence[P], encode: Callable[[P], Vectors], towers: nn.Module
) -> tuple[list[list[Tensor]], Vectors]:
    """Encode without a graph; remember the state of chance, so that dropout falls alike the second time."""
    states: list[list[Tensor]] = []
    parts: list[Vectors] = []
    with torch.no_grad(), _statistics_kept(towers):
        for piece in pieces:
            states.append(_chance())
            parts.append(encode(piece))
    images, texts = (torch.cat([part[side] for part in parts]) for side in (0, 1))
    return states, (images, texts)


def _at_vectors(
    vectors: Vectors, loss_of: LossOf, scaled: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Vectors]:
    """Give the loss over all processes' vectors, and the gradients of this process's own."""
    images, texts = (_gathered(each) for each in vectors)
    everything = [each.detach().requires_grad_() for each in (images, texts)]
    loss = loss_of(*everything)
    scaled(loss).backward()  # type: ignore[no-untyped-call]
    gradients = [
        (torch.zeros_like(each) if each.grad is None else each.grad)[_own(len(mine))]
        for each, mine in zip(everything, vectors, strict=True)
    ]
    return loss.detach(), (gradients[0], gradients[1])


def _second_pass(
    pieces: Sequence[P],
    encode: Callable[[P], Vectors],
    towers: nn.Module,
    states: Sequence[list[Tensor]],
    gradients: Vectors,
) -> None:
    after = _chance()
    images_at = texts_at = 0
    for piece, state in zip(pieces, states, strict=True):
        _set_chance(state)
        images, texts = encode(piece)
        of_images = gradients[0][images_at : images_at + len(images)]
        of_texts = gradients[1][texts_at : texts_at + len(texts)]
        learning = [
            (vectors, gradient)
            for vectors, gradient in ((images, of_images), (texts, of_texts))
            if vectors.requires_grad
        ]
        with _statistics_kept(towers):
            torch.autograd.backward([v for v, _ in learning], [g for _, g in learning])
        images_at, texts_at = images_at + len(images), texts_at + len(texts)
    _set_chance(after)


def _chance() -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state()] if torch.cuda.is_available() else states


def _set_chance(states: Sequence[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state(states[1])


@contextmanager
def _statistics_kept(towers: nn.Module) -> Iterator[None]:
    """Put running means back, which each batch counts in once.

    Of two passes the second counts, and not what is computed again on the way back (gradient checkpointing).
    """
    buffers = {name: buffer.clone() for name, buffer in towers.named_buffers() if "running" in name}
    counts = {name: buffer.clone() for name, buffer in towers.named_buffers() if "num_batches" in name}
    yield
    for name, buffer in towers.named_buffers():
        if (kept := buffers.get(name, counts.get(name))) is not None:
            buffer.copy_(kept)


# -- several processes -------------------------------------------------------------------------------


def _world() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def _own(count: int) -> slice:
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    return slice(rank * count, (rank + 1) * count)


def _gathered(vectors: Tensor) -> Tensor:
    if _world() == 1:
        return vectors
    parts = [torch.empty_like(vectors) for _ in range(_world())]
    distributed.all_gather(parts, vectors.contiguous())
    return torch.cat(parts)


def _add_up(towers: nn.Module, apart: Collection[nn.Parameter]) -> None:
    """Sum the towers' gradients; each process has those of its own images and texts."""
    whole = {id(parameter) for parameter in apart}
    for parameter in towers.parameters():
        if parameter.grad is not None and id(parameter) not in whole:
            distributed.all_reduce(parameter.grad)
