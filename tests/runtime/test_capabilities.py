"""What a processor can do decides in which float type it works."""

import pytest
import torch

from bitscape.runtime import Capabilities, native_dtype


@pytest.mark.parametrize(("bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_is_native_only_where_it_is_multiplied(
    bf16: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Capabilities, "probe", lambda: Capabilities(vnni=True, bf16=bf16))
    assert native_dtype() == dtype
