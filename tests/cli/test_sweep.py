"""The options of `bitscape sweep` that choose where cells run."""

import os

import pytest

from bitscape.cli.sweep import choose_executor
from bitscape.sweeps import LocalExecutor, RayExecutor


def test_workers_share_the_cores_out_among_their_threads() -> None:
    cores = len(os.sched_getaffinity(0))
    assert choose_executor("local", None, 1, None, None) == LocalExecutor(cores, 1)
    assert choose_executor("local", None, 2 * cores, None, None) == LocalExecutor(1, 2 * cores)
    assert choose_executor("local", 3, 1, "2GB", None) == LocalExecutor(3, 1, 2 * 10**9)


def test_ray_takes_a_cluster_or_workers() -> None:
    assert choose_executor("ray", None, 2, None, "auto") == RayExecutor("auto", None, 2)
    assert choose_executor("ray", 4, 1, None, None) == RayExecutor(None, 4, 1)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (("slurm", None, 1, None, None), "choose local or ray"),
        (("local", None, 1, None, "auto"), "add --executor ray"),
        (("local", None, 1, "much", None), "write a number with B"),
        (("ray", None, 1, "8GB", None), "Ray watches memory itself"),
        (("ray", 2, 1, None, "auto"), "drop --workers"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(options, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        choose_executor(*options)
