"""The built-in model's image network, known to timm, and so to open_clip, by name.

A plain residual network whose last map is averaged and then projected linearly, so that the projection of
each cell of the map is that cell's share in the image vector: patch vectors come for free. Under its second
name it looks twice: at the picture, and at its middle.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_NETWORK = "sightline_resnet_s"
LOOKING_TWICE = "sightline_resnet_s_twice"
MIDDLE = (3, 4)  # of each side: of 96 px, 72
MIDDLE_SEEN_AT = (2, 3)  # of the side: those 72 px are seen as 64


def register_image_network() -> None:
    """Make the network known to timm under both names; calling it twice does no harm."""
    from timm.models import is_model, register_model
    from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg

    if is_model(LOOKING_TWICE):
        return

    # 96 px in: a stem of stride 4, then maps of 24, 12, 6 and 3 cells a side; 5.4 M parameters.
    config = ByoModelCfg(
        blocks=(
            ByoBlockCfg(type="basic", d=1, c=48, s=1, br=1.0),
            ByoBlockCfg(type="basic", d=2, c=96, s=2, br=1.0),
            ByoBlockCfg(type="basic", d=2, c=192, s=2, br=1.0),
            ByoBlockCfg(type="basic", d=2, c=352, s=2, br=1.0),
        ),
        stem_chs=48,
        stem_type="3x3",
        act_layer="relu",
    )

    class Twice(ByobNet):
        def forward(self, pixels: "Tensor") -> "Tensor":
            once: Tensor = super().forward(pixels)
            return once if self.training else (once + super().forward(mirrored_middle(pixels))) / 2

    def made(kind: type[ByobNet], options: dict[str, Any]) -> ByobNet:
        network = kind(config, **{name: value for name, value in options.items() if value is not None})
        # open_clip asks every timm network for the size of its last map.
        network.default_cfg = {"input_size": (3, 96, 96), "pool_size": (3, 3)}  # type: ignore[assignment]
        return network

    def sightline_resnet_s(pretrained: bool = False, **options: Any) -> ByobNet:
        return made(ByobNet, options)

    def sightline_resnet_s_twice(pretrained: bool = False, **options: Any) -> ByobNet:
        return made(Twice, options)

    for entry in (sightline_resnet_s, sightline_resnet_s_twice):
        entry.__module__ = __name__
        register_model(entry)


def mirrored_middle(pixels: "Tensor") -> "Tensor":
    """Cut out the middle of (n, 3, side, side) pictures, mirror it, and reduce it a little."""
    from torch.nn.functional import interpolate

    side = pixels.shape[-1]
    middle, seen_at = side * MIDDLE[0] // MIDDLE[1], side * MIDDLE_SEEN_AT[0] // MIDDLE_SEEN_AT[1]
    edge = (side - middle) // 2
    cut = pixels[:, :, edge : edge + middle, edge : edge + middle].flip(3)
    return interpolate(cut, size=(seen_at, seen_at), mode="bilinear", align_corners=False)
