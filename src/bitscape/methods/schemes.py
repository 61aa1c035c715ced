"""Groups of schemes that methods declare as theirs; the bundled recipes are made of them."""

_PAIRS = ((8, 8), (6, 6), (4, 8), (4, 4))

WEIGHTS = tuple(f"W{bits}A16" for bits in (8, 6, 5, 4, 3, 2))
ASYMMETRIC = tuple(f"W{bits}A16,asym" for bits in (4, 3, 2))
GROUPS = (
    *(f"W{bits}A16@g64" for bits in (4, 3, 2)),
    *(f"W{bits}A16@g64,asym" for bits in (4, 3, 2)),
)
INTEGERS = (
    *(f"W{bits}A8" for bits in (8, 6, 4, 3, 2)),
    "W8A8,static",
    "W4A8@g64",
    "W4A8,asym",
    "W6A6",
    "W4A6",
    "W4A4",
    "W4A4,static",
    "W4A4@g64",
)
FLOAT_WEIGHTS = (
    "WternaryA16",
    "We2m1A16",
    "We3m0A16",
    "We2m3A16",
    "We3m2A16",
    "MXFP4A16",
    "NVFP4A16",
)
FLOATS = ("FP8", "FP8_DYNAMIC", "MXFP4", "MXFP6", "MXFP8", "NVFP4")

EVERY = (*WEIGHTS, *ASYMMETRIC, *GROUPS, *INTEGERS, *FLOAT_WEIGHTS, *FLOATS)
"""All grids: each format once, alone and with activations."""

CODEBOOKS = ("W4A16,vq2d", "W3A16,vq2d", "W2A16,vq2d", "W2A16,vq4d", "W3A8,vq2d", "W2A8,vq2d")
INPUTS = (
    "W8A8",
    "W6A6",
    "W4A8",
    "W4A4",
    "W8A8,static",
    "W6A6,static",
    "W4A8,static",
    "W4A4,static",
    "W4A4@g64",
    "We2m3Ae2m3",
    "We2m1Ae2m1",
    "FP8",
    "FP8_DYNAMIC",
    "MXFP8",
    "MXFP6",
    "MXFP4",
    "NVFP4",
)
"""Schemes that round activations, for methods that change their basis."""

STATIC = (
    *(f"W{weight}A{input_}{mark}" for mark in (",static", "") for weight, input_ in _PAIRS),
    "FP8",
)
"""Integers with static ranges and with dynamic ones, and the float that has both."""

TABLES = tuple(f"W{weight}A{input_},static" for weight, input_ in _PAIRS)
"""Integers whose inputs have a range for each step."""

COMMON = (
    *(f"W{bits}A16" for bits in (4, 3, 2)),
    *(f"W{bits}A16@g64" for bits in (4, 3, 2)),
    "W8A8",
    "W4A8",
    "W6A6",
    "W4A4",
    "We2m1A16",
    "FP8",
    "MXFP6",
    "MXFP4",
    "NVFP4",
)
"""What methods are compared at, for those whose every setting would only lengthen the list."""

TRAINED = (
    *(f"W{bits}A16" for bits in (4, 3, 2)),
    *(f"W{bits}A16@g64" for bits in (4, 3, 2)),
    *(f"W{bits}A8" for bits in (8, 4, 3, 2)),
    "W4A4",
    *(f"W{width}A16" for width in ("e2m1", "e1m2", "e3m0", "e1m1", "e2m0", "ternary")),
    *(f"W{width}A8" for width in ("e2m1", "e1m2", "e3m0")),
)
"""Integers, and floats of as many bits, for training: below the widths that do without."""
