"""How the released checkpoints of MAR name the parts of the network."""

import torch
from torch import nn

from bitscape.models.checkpoint import KeyMap, Source

CLASS_EMBED = "backbone.class_embed.weight"

_RELEASED = {
    "backbone.token_embed": "z_proj",
    "backbone.norm_in": "z_proj_ln",
    "backbone.position": "encoder_pos_embed_learned",
    "backbone.unmask.norm": "encoder_norm",
    "backbone.unmask.embed": "decoder_embed",
    "backbone.unmask.mask_token": "mask_token",
    "backbone.unmask.position": "decoder_pos_embed_learned",
    "backbone.norm_out": "decoder_norm",
    "backbone.condition_position": "diffusion_pos_embed_learned",
    "head.time_fc1": "diffloss.net.time_embed.mlp.0",
    "head.time_fc2": "diffloss.net.time_embed.mlp.2",
    "head.condition_embed": "diffloss.net.cond_embed",
    "head.token_embed": "diffloss.net.input_proj",
    "head.final.ada": "diffloss.net.final_layer.adaLN_modulation.1",
    "head.final.linear": "diffloss.net.final_layer.linear",
}
_RELEASED_IN_HEAD_BLOCK = {
    "norm": "in_ln",
    "fc1": "mlp.0",
    "fc2": "mlp.2",
    "ada": "adaLN_modulation.1",
}


def mar_keys(module: nn.Module) -> KeyMap:
    """The key map of `checkpoint-last.pth`; its vector for "no class" is our last class."""
    classes = Source(("class_emb.weight", "fake_latent"), lambda *rows: torch.cat(rows))
    # The one of AdaLN is a buffer of ours alone.
    ours = [name for name in module.state_dict() if not name.endswith(".unit")]
    keys = {name: Source((_released(name),)) for name in ours if name != CLASS_EMBED}
    return {CLASS_EMBED: classes, **keys}


def _released(name: str) -> str:
    layer, _, field = name.rpartition(".")
    match layer.split("."):
        case ["backbone", "encoder" | "decoder" as part, *inside]:
            return ".".join((f"{part}_blocks", *inside, field))
        case ["head", "blocks", place, *inside]:
            layer = _RELEASED_IN_HEAD_BLOCK[".".join(inside)]
            return f"diffloss.net.res_blocks.{place}.{layer}.{field}"
    return f"{_RELEASED[layer]}.{field}" if layer in _RELEASED else _RELEASED[name]
