"""What a method is: the hyper-parameters of a paper and the passes they stand for."""

from typing import Protocol, runtime_checkable

from bitscape.passes import Pass


@runtime_checkable
class Method(Protocol):
    """A paper as a sentence of passes; its fields are the paper's hyper-parameters."""

    def passes(self) -> list[Pass]:
        """The passes, in order."""
        ...
