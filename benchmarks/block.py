"""Time a transformer block of VAR-d16's size, random weights: python benchmarks/block.py [--json].

1,024 channels, 16 heads, AdaLN. A batch of `--batch` samples, `--tokens` tokens each; the defaults
are the last scale of a 256 x 256 image for one sample with guidance.
"""

import argparse
import json

import torch
from linear import as_json, show

from bitscape.models.var_network import VARBlock, VARConfig
from bitscape.runtime import describe_machine, time_block
from bitscape.structure import Role

ROLES = {
    "ada": Role.ADA,
    "attn.qkv": Role.QKV,
    "attn.proj": Role.PROJ,
    "mlp.fc1": Role.FC1,
    "mlp.fc2": Role.FC2,
}


def main() -> None:
    """Print the table, or the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each variant")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    block = VARBlock(VARConfig(embed_dim=options.channels, depth=1, num_heads=options.heads))
    args = [
        torch.randn(options.batch, options.tokens, options.channels),
        torch.randn(options.batch, options.channels),
    ]
    table = time_block(block, args, roles=ROLES, seconds=options.seconds)
    title = f"{options.batch} x {options.tokens} tokens"
    if options.json:
        print(json.dumps({"machine": describe_machine(), "tables": as_json({title: table})}))
        return
    print(", ".join(f"{key} {value}" for key, value in describe_machine().items()))
    print(f"\nVAR block, {options.channels} channels, {title}")
    show(table)


if __name__ == "__main__":
    main()
