from pathlib import Path

import pytest

from bitscape.artefacts.hashing import file_sha256, json_sha256, verify


def test_edited_or_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}")
    expected = {"config.json": file_sha256(path)}
    verify(tmp_path, expected)
    path.write_text("{ }")
    with pytest.raises(ValueError, match="config.json does not match the sha256"):
        verify(tmp_path, expected)
    path.unlink()
    with pytest.raises(ValueError, match="config.json is missing"):
        verify(tmp_path, expected)


def test_json_digest_ignores_the_order_of_keys() -> None:
    assert json_sha256({"a": 1, "b": 2}) == json_sha256({"b": 2, "a": 1})
    assert json_sha256({"a": 1}) != json_sha256({"a": 2})
