"""The weight whose outputs on drifted inputs are nearest to those of the true one on true inputs.

Rounding the layers before it turns the input u of a layer into u^. Over the rows of both,

    min_V  E |V u^ - W u|^2 + lambda |V - W|^2    =>    V = W + W D (H + lambda I)^-1,

    H = E[u^ u^^T],    D = E[(u - u^) u^^T],

and for any other V^ the first term grows by tr((V^ - V) H (V^ - V)^T), lambda aside: what rounds V
under H rounds for the outputs of full precision. Where the layer has a bias, the means are its
task, b' = b + W E[u] - V^ E[u^], and H and D are covariances.

The aim is that of Li et al., "GPTAQ: Efficient Finetuning-Free Quantization with Asymmetric
Calibration", arXiv:2504.02692. They spread the drift column by column while they round; the least
squares are solved first here, so that any rounder can follow. The bias is corrected as in Nagel et
al., "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv:1906.04721.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def matched_weight(
    W: Float[Tensor, "out in"],
    H: Float[Tensor, "in in"],
    D: Float[Tensor, "in in"],
    damping: float,
) -> Float[Tensor, "out in"]:
    """V with lambda = `damping` times the mean of H's diagonal; W itself where nothing drifted."""
    H = H.clone()
    diagonal = H.diagonal()
    diagonal += damping * diagonal.mean()
    # Inputs that are always zero drift nowhere.
    diagonal[diagonal == 0] = 1
    moved: Tensor = torch.linalg.solve(H, (W.to(H) @ D).T).T
    return W + moved.to(W)


def matched_bias(
    bias: Float[Tensor, " out"],
    W: Float[Tensor, "out in"],
    full: Float[Tensor, " in"],
    W_hat: Float[Tensor, "out in"],
    own: Float[Tensor, " in"],
) -> Float[Tensor, " out"]:
    """b + W E[u] - W^ E[u^]: the mean output of full precision is kept exactly."""
    moved = bias.to(full) + W.to(full) @ full - W_hat.to(own) @ own
    return moved.to(bias)
