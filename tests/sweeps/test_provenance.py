from bitscape.sweeps import provenance


def test_the_commit_is_a_hash_or_unknown() -> None:
    found = provenance.commit()
    assert found is None or len(found.removesuffix("-dirty")) == 40


def test_the_commit_of_a_surrounding_checkout_is_not_borrowed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    assert provenance.commit() is None


def test_versions_are_counted_without_the_installed_one() -> None:
    now = provenance.version()
    assert provenance.other_versions([now, "0.0.1", now, "0.0.1", "0.0.2"]) == {
        "0.0.1": 2,
        "0.0.2": 1,
    }
