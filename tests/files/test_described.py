"""What is wrong with a described file, in one line."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitscape.files import first_fault, read_mapping


class Inside(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int = 1


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")

    names: tuple[str, ...] = Field(min_length=1)
    inside: Inside = Inside()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({}, "names is missing: a whole needs `names:`"),
        ({"names": ["a"], "more": 1}, "no key more: choose of names, inside"),
        ({"names": ["a"], "inside": {"more": 1}}, "no key inside.more: choose of count"),
        ({"names": "a"}, "names: 'a' is no list: write it in brackets, [a, b]"),
        ({"names": []}, "names is empty: name at least one"),
        ({"names": ["a"], "inside": 5}, "inside: 5 has no keys: write some of count"),
        ({"names": ["a"], "inside": {"count": "x"}}, "inside.count: 'x': input should be a valid"),
    ],
)
def test_a_fault_is_told_in_the_words_of_the_file(content: dict[str, object], line: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(content)
    assert first_fault(caught.value, Whole, Inside, "a whole needs `names:`").startswith(line)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"- a", "has no keys: a whole needs `names:`"),
        (b"a: [", "is not YAML: "),
        ("a: é".encode("latin-1"), "is not text in UTF-8: save it as UTF-8"),
    ],
)
def test_a_file_without_keys_is_named(content: bytes, line: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"file.yaml {line}") as caught:
        read_mapping(path, "a whole needs `names:`")
    assert "\n" not in str(caught.value)


def test_keys_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("a: 1\nb: [2]\n")
    assert read_mapping(path, "") == {"a": 1, "b": [2]}
