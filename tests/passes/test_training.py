"""Settings of training that make no sense are refused."""

import pytest

from bitscape.passes import Training


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"steps": 0}, "at least one step"),
        ({"batch": 0}, "one image"),
        ({"rate": 0.0}, "that of weights not 0"),
        ({"scales": -1.0}, "cannot be negative"),
        ({"warmup": 1.0}, "shares below 1"),
        ({"clip": 0.0}, "clip 0.0"),
        ({"diverged": 1.0}, "diverged 1.0"),
        ({"precision": "float16"}, "float32 or bfloat16, got 'float16'"),
    ],
)
def test_impossible_settings_are_named(words: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Training(**words)
