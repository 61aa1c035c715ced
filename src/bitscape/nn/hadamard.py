"""Hadamard transforms: rotations that are stored as an order, never as a matrix.

H of order n has entries +-1 and H H^T = n I. Orders that are powers of two come from Sylvester's
doubling, others from a Paley matrix times a power of two; H is then a Kronecker product, which is
also how it is applied: with two factors near sqrt(n), 2 n sqrt(n) multiplications instead of n^2.
Paley, "On orthogonal matrices", J. Math. Phys. 12 (1933).
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

# Up to this order one dense product costs less than two with a transposition between them.
_LARGEST_DENSE = 128


def hadamard_matrix(order: int) -> Float[Tensor, "order order"]:
    """The matrix of +-1 that `hadamard_transform` applies; ValueError when none is known."""
    return _matrix(order).clone()


def hadamard_transform(
    x: Float[Tensor, "*batch channel"], order: int
) -> Float[Tensor, "*batch channel"]:
    """x (I (x) H) / sqrt(order): each run of `order` channels rotated by an orthogonal matrix."""
    return _apply(x, order, transpose=False)


def inverse_hadamard_transform(
    x: Float[Tensor, "*batch channel"], order: int
) -> Float[Tensor, "*batch channel"]:
    """x (I (x) H^T) / sqrt(order), which undoes `hadamard_transform`."""
    return _apply(x, order, transpose=True)


def signed_rotation(
    x: Float[Tensor, "*batch channel"], order: int, signs: Float[Tensor, " channel"] | None
) -> Float[Tensor, "*batch channel"]:
    """x R with R = diag(signs) (I (x) H) / sqrt(order); order 0 stands for no rotation."""
    if not order:
        return x
    return hadamard_transform(x if signs is None else x * signs, order)


def largest_order(width: int) -> int:
    """The largest order that divides `width` and has a Hadamard matrix built in: at least 1."""
    for order in range(width, 1, -1):
        if width % order == 0 and _is_known(order):
            return order
    return 1


def check_order(order: int, width: int) -> None:
    """ValueError unless a Hadamard matrix of `order` is known and it divides `width`."""
    _base(order)
    if width % order:
        raise ValueError(
            f"a rotation of order {order} does not divide {width} channels: "
            f"choose a divisor, such as {width & -width}"
        )


def _apply(x: Tensor, order: int, *, transpose: bool) -> Tensor:
    check_order(order, x.shape[-1])
    y = x
    for size in _factors(order):
        # The leading axis of what is left of a run goes to the back, where one matrix product mixes
        # it; behind the last factor all axes are in their order again.
        rows = y.reshape(-1, size, order // size).transpose(1, 2).reshape(-1, size)
        factor = _matrix(size).to(x)
        y = rows @ (factor.T if transpose else factor)
    return y.view(x.shape).div_(order**0.5)


def _factors(order: int) -> tuple[int, ...]:
    """Orders whose Kronecker product is `order`: itself if small, else two as equal as can be."""
    base = _base(order)
    if order <= _LARGEST_DENSE:
        return (order,)
    first = base
    while 2 * first * first <= order:
        first *= 2
    return (first, order // first)


@lru_cache(maxsize=64)
def _base(order: int) -> int:
    """The Paley order that times a power of two is `order`, 1 for a power of two alone."""
    if order < 1:
        raise ValueError(f"a Hadamard order is positive, got {order}")
    power = order & -order
    odd = order // power
    if odd == 1:
        return 1
    base = 4 * odd
    while order % base == 0:
        if _is_paley(base):
            return base
        base *= 2
    raise ValueError(
        f"no Hadamard matrix of order {order} is built in: use a power of two, "
        f"such as {power}, or a power of two times 12, 20, 28, 36, 44 or 60"
    )


def _is_known(order: int) -> bool:
    try:
        _base(order)
    except ValueError:
        return False
    return True


def _is_paley(order: int) -> bool:
    return _is_prime(order - 1) or (order % 8 == 4 and _is_prime(order // 2 - 1))


def _is_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


@lru_cache(maxsize=64)
def _matrix(order: int) -> Tensor:
    """A Hadamard matrix: Paley's of the base, times Sylvester's of the power of two."""
    base = _base(order)
    matrix = torch.ones(1, 1)
    if base > 1:
        matrix = _paley_one(base - 1) if _is_prime(base - 1) else _paley_two(base // 2 - 1)
    while len(matrix) < order:
        matrix = torch.kron(matrix, torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    return matrix


def _jacobsthal(q: int) -> Tensor:
    """Q[i, j] = Legendre symbol of (i - j) modulo the prime q."""
    squares = {i * i % q for i in range(1, q)}
    symbol = torch.tensor([0.0] + [1.0 if i in squares else -1.0 for i in range(1, q)])
    index = torch.arange(q)
    return symbol[(index[:, None] - index[None, :]) % q]


def _bordered(q: int, left: float) -> Tensor:
    """[[0, 1], [left, Q]]: the conference matrix of order q + 1."""
    matrix = torch.zeros(q + 1, q + 1)
    matrix[0, 1:] = 1.0
    matrix[1:, 0] = left
    matrix[1:, 1:] = _jacobsthal(q)
    return matrix


def _paley_one(q: int) -> Tensor:
    """Order q + 1 for a prime q = 3 modulo 4: I + C with C skew."""
    return torch.eye(q + 1) + _bordered(q, -1.0)


def _paley_two(q: int) -> Tensor:
    """Order 2 (q + 1) for a prime q = 1 modulo 4: each entry of C becomes a 2 x 2 block."""
    plus = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    diagonal = torch.tensor([[1.0, -1.0], [-1.0, -1.0]])
    return torch.kron(_bordered(q, 1.0), plus) + torch.kron(torch.eye(q + 1), diagonal)
