"""The built-in model's image network, known to timm, and so to open_clip, by name.

A plain residual network whose last map is averaged and then projected linearly, so that the projection of
each cell of the map is that cell's share in the image vector: patch vectors come for free.
"""

from typing import Any

IMAGE_NETWORK = "sightline_resnet_s"


def register_image_network() -> None:
    """Make `sightline_resnet_s` known to timm; calling it twice does no harm."""
    from timm.models import is_model, register_model
    from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg

    if is_model(IMAGE_NETWORK):
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

    def sightline_resnet_s(pretrained: bool = False, **options: Any) -> ByobNet:
        network = ByobNet(config, **{name: value for name, value in options.items() if value is not None})
        # open_clip asks every timm network for the size of its last map.
        network.default_cfg = {"input_size": (3, 96, 96), "pool_size": (3, 3)}  # type: ignore[assignment]
        return network

    sightline_resnet_s.__module__ = __name__
    register_model(sightline_resnet_s)
