"""The passes of a recipe, one after another, with those that others begin with or try out."""

from collections.abc import Iterable, Iterator

from bitscape.passes import Distill, MixedPrecision, Pass


def every_step(passes: Iterable[Pass]) -> Iterator[Pass]:
    """Each of `passes`, and behind it those inside it."""
    for step in passes:
        yield step
        yield from every_step(_inside(step))


def _inside(step: Pass) -> tuple[Pass, ...]:
    match step:
        case Distill():
            return step.start
        case MixedPrecision():
            return step.inner
    return ()
