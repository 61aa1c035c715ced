"""Artefacts: a quantized model as a folder that needs nothing else, and its unfinished states."""

from bitscape.artefacts.config import dtype_called, quantization_config
from bitscape.artefacts.folder import partial_path, require_absent, require_free, whole_folder
from bitscape.artefacts.foreign import ForeignFile, Part, Stored, open_foreign
from bitscape.artefacts.hashing import file_sha256, json_sha256
from bitscape.artefacts.inspect import inspect, inspect_network
from bitscape.artefacts.load import (
    is_artefact,
    load,
    read_config,
    read_recipe,
    read_report,
    restore_sites,
)
from bitscape.artefacts.lock import in_turn, locked
from bitscape.artefacts.merge import merge_tensors
from bitscape.artefacts.released import Weights, match, without_weights
from bitscape.artefacts.save import network_tensors, save
from bitscape.artefacts.tensors import check_finite, fill, narrow, read_tensors, write_tensors
from bitscape.artefacts.workspace import finish_interrupted, workspace

__all__ = [
    "ForeignFile",
    "Part",
    "Stored",
    "Weights",
    "check_finite",
    "dtype_called",
    "file_sha256",
    "fill",
    "finish_interrupted",
    "in_turn",
    "inspect",
    "inspect_network",
    "is_artefact",
    "json_sha256",
    "load",
    "locked",
    "match",
    "merge_tensors",
    "narrow",
    "network_tensors",
    "open_foreign",
    "partial_path",
    "quantization_config",
    "read_config",
    "read_recipe",
    "read_report",
    "read_tensors",
    "require_absent",
    "require_free",
    "restore_sites",
    "save",
    "whole_folder",
    "without_weights",
    "workspace",
    "write_tensors",
]
