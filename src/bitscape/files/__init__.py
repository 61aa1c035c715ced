"""Files: whole or absent whenever a run is killed, and one plain line for a bad one."""

from bitscape.files.described import first_fault, read_mapping
from bitscape.files.spill import Spill, SpilledList, spilled
from bitscape.files.tensors import read_tensors, write_tensors
from bitscape.files.whole import (
    move_whole,
    require_no_folder,
    whole_file,
    whole_folder,
    write_whole,
)

__all__ = [
    "Spill",
    "SpilledList",
    "first_fault",
    "move_whole",
    "read_mapping",
    "read_tensors",
    "require_no_folder",
    "spilled",
    "whole_file",
    "whole_folder",
    "write_tensors",
    "write_whole",
]
