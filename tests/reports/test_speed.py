from bitscape.models import VARConfig
from bitscape.reports.speed import main_kernel, measure_speed
from bitscape.runtime import VARIANTS, Choice

SMALL = VARConfig(embed_dim=128, depth=1, num_heads=4, patch_nums=(1, 4))


def test_every_arithmetic_is_timed_on_one_block() -> None:
    speed = measure_speed(0.05, SMALL)
    assert [timing.name for timing in speed.timings] == list(VARIANTS)
    assert all(0 < t.p10_ms <= t.median_ms <= t.p90_ms for t in speed.timings)
    assert speed.rows == 32


def test_fewer_bits_hold_less_memory() -> None:
    held = {timing.name: timing.weight_bytes for timing in measure_speed(0.05, SMALL).timings}
    assert held["fp32"] > held["bf16"] > held["W8A8"] > held["W4A8"]


def test_float_blocks_name_no_kernel_of_ours() -> None:
    assert main_kernel(()) == "torch"
    assert (
        main_kernel(
            [Choice(site, kernel, True, "") for site, kernel in zip("xyz", "abb", strict=True)]
        )
        == "b"
    )
