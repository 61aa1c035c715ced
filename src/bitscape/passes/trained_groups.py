"""What a training moves, in the groups of its optimizer."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from bitscape.passes.student import StudentLayer, static_quantizers
from bitscape.passes.training import Training
from bitscape.training import whole


def trained_groups(parts: Sequence[nn.Module], training: Training) -> list[dict[str, Any]]:
    """The groups of AdamW, each with its rate, of what is trained in `parts` of a network.

    What is in none takes no gradient.
    """
    inside = [module for part in parts for module in part.modules()]
    students = [module for module in inside if isinstance(module, StudentLayer)]
    tables = [q.table_scale for part in parts for q in static_quantizers(part).values()]
    weights = [p for student in students for p in student.moved]
    factors = [p for student in students for p in student.factors()]
    own = {id(p) for p in (*weights, *factors, *tables)}
    rest = [p for part in parts for p in part.parameters() if id(p) not in own]
    groups: list[dict[str, Any]] = [
        {"params": weights, "lr": training.rate, "weight_decay": training.weight_decay},
        {"params": factors, "lr": training.rate * training.scales, "weight_decay": 0.0},
        {"params": rest, "lr": training.rate * training.rest, "weight_decay": 0.0},
    ]
    for table in tables:
        assert table is not None
        # A step of Adam is as large as its rate, and ranges differ by orders of magnitude.
        rate = training.rate * training.ranges * float(whole(table.detach()).mean())
        groups.append({"params": [table], "lr": rate, "weight_decay": 0.0})
    used = [group for group in groups if group["params"] and group["lr"]]
    for group in used:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    return used
