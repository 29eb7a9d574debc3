"""One layer, many names: how LoRA files spell the layers of a UNet.

Every spelling is looked up among the layers that the UNet really has, flattened to underscores: nothing is guessed
from the letters of a key, and what is not found is not of this model.
"""

from __future__ import annotations

import re
from typing import Any

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")

_SUFFIXES = (
    # (down, up) as kohya, peft, diffusers of old, and its attention processors write them.
    (".lora_down.weight", ".lora_up.weight"),
    (".lora_A.weight", ".lora_B.weight"),
    (".lora_A.default.weight", ".lora_B.default.weight"),
    (".lora.down.weight", ".lora.up.weight"),
    ("_lora.down.weight", "_lora.up.weight"),
)
_UNET = ("lora_unet_", "unet.", "base_model.model.", "model.diffusion_model.", "diffusion_model.")
_TEXT = ("lora_te_", "lora_te1_", "lora_te2_", "text_encoder.", "text_encoder_2.", "te1_", "te2_")


def ldm_name(name: str, unet: Any) -> str:
    """Return how the original Stable Diffusion code calls the layer ``name`` of ``unet``; as it is if it has no other.

    >>> from types import SimpleNamespace
    >>> unet = SimpleNamespace(config=SimpleNamespace(layers_per_block=2), up_blocks=[])
    >>> ldm_name("down_blocks.1.attentions.0.proj_in", unet)
    'input_blocks.4.1.proj_in'
    """
    if name.rpartition(".")[0] in _OUTSIDE:
        layer, _, last = name.rpartition(".")
        return f"{_OUTSIDE[layer]}.{last}"
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    if match := _MIDDLE.fullmatch(name):
        kind, index, rest = match[1], int(match[2]), match[3]
        place = 1 if kind == "attentions" else 2 * index
        return f"middle_block.{place}.{_inside(kind, rest)}"
    match = _BLOCK.fullmatch(name)
    if match is None:
        return name
    way, block, kind, index, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    stride = int(unet.config.layers_per_block) + 1
    if kind == "downsamplers":
        return f"input_blocks.{(block + 1) * stride}.0.{rest.replace('conv', 'op', 1)}"
    if kind == "upsamplers":
        place = 2 if getattr(unet.up_blocks[block], "attentions", None) else 1
        return f"output_blocks.{block * stride + stride - 1}.{place}.{rest}"
    first = 1 + block * stride if way == "down" else block * stride
    blocks = "input_blocks" if way == "down" else "output_blocks"
    return f"{blocks}.{first + index}.{1 if kind == 'attentions' else 0}.{_inside(kind, rest)}"


def _inside(kind: str, rest: str) -> str:
    if kind == "attentions":
        return rest
    layer, _, last = rest.partition(".")
    return _RESNET.get(layer, layer) + (f".{last}" if last else "")


def layer_table(unet: Any) -> dict[str, str]:
    """Return the name of every linear and convolution layer of ``unet`` by all its flattened spellings."""
    from torch import nn

    table = {}
    for name, module in unet.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            table[name.replace(".", "_")] = name
            table[ldm_name(name, unet).replace(".", "_")] = name
    return table


def split_key(key: str) -> tuple[str, str, str]:
    """Return (whose, layer, which) of a key in a LoRA file.

    Returns:
        ``unet``, ``text`` or ``""`` if nobody knows; the layer, flattened; ``down``, ``up``, ``alpha`` or what else
        it ends in.
    """
    layer, which = key, ""
    for down, up in _SUFFIXES:
        for suffix, word in ((down, "down"), (up, "up")):
            if not which and key.endswith(suffix):
                layer, which = key.removesuffix(suffix), word
    if not which:
        layer, _, which = key.rpartition(".")
    whose = next((word for starts, word in ((_TEXT, "text"), (_UNET, "unet")) if layer.startswith(starts)), "")
    for start in _UNET if whose == "unet" else ():
        layer = layer.removeprefix(start)
    flat = layer.replace(".", "_")
    # Attention processors carried the LoRA once, and their last layer had a list's index.
    flat = flat.replace("_processor_to_", "_to_")
    return whose, re.sub(r"_to_out$", "_to_out_0", flat), which
