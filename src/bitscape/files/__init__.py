"""Files and folders that are either whole or absent, whatever moment a run is killed at."""

from bitscape.files.tensors import read_tensors, write_tensors
from bitscape.files.whole import (
    move_whole,
    require_no_folder,
    whole_file,
    whole_folder,
    write_whole,
)

__all__ = [
    "move_whole",
    "read_tensors",
    "require_no_folder",
    "whole_file",
    "whole_folder",
    "write_tensors",
    "write_whole",
]
