"""Methods: one file a paper. The registry is also the test matrix."""

from collections.abc import Mapping

from bitscape.methods.base import Method
from bitscape.methods.gptq import GPTQ
from bitscape.methods.gptvq import GPTVQ
from bitscape.methods.rtn import RTN

METHODS: Mapping[str, type[Method]] = {"rtn": RTN, "gptq": GPTQ, "gptvq": GPTVQ}

__all__ = ["GPTQ", "GPTVQ", "METHODS", "RTN", "Method"]
