"""Optimizers for small transformers and autoencoders."""

import torch
from torch import nn


def adamw(
    module: nn.Module, rate: float, decay: float = 0.01, betas: tuple[float, float] = (0.9, 0.99)
) -> list[torch.optim.Optimizer]:
    """AdamW over all parameters; only matrices and kernels decay."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [torch.optim.AdamW(groups, lr=rate, betas=betas)]


def muon(
    module: nn.Module, matrices: list[nn.Parameter], rate: float, decay: float = 0.01
) -> list[torch.optim.Optimizer]:
    """Muon for the block matrices, AdamW for everything else, at one common rate.

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; update scaled to
    AdamW's root mean square as in Liu et al., arXiv 2502.16982, so that one rate serves both.
    Kernels of convolutions are trained as the matrices (out, in kh kw) that they are.
    """
    chosen = {id(p) for p in matrices}
    rest = nn.ParameterList(
        p for p in module.parameters() if p.requires_grad and id(p) not in chosen
    )
    # torch's Muon takes matrices alone: a kernel enters as a view of its memory.
    views = [p if p.ndim == 2 else nn.Parameter(p.detach().flatten(1)) for p in matrices]
    orthogonal = torch.optim.Muon(
        views, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
    )

    def hand_over(*_: object) -> None:
        for view, p in zip(views, matrices, strict=True):
            if view is not p and p.grad is not None:
                view.grad, p.grad = p.grad.flatten(1), None

    orthogonal.register_step_pre_hook(hand_over)
    return [orthogonal, *adamw(rest, rate, decay)]
