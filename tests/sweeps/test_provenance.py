import numpy as np

from bitscape.sweeps import provenance


def test_peak_memory_sees_what_was_allocated_since_the_reset() -> None:
    provenance.reset_peaks()
    before = provenance.peak_memory()
    block = np.ones(32 * 2**20, dtype=np.uint8)
    assert provenance.peak_memory() - before > 24 * 2**20
    del block


def test_the_commit_is_a_hash_or_unknown() -> None:
    found = provenance.commit()
    assert found is None or len(found.removesuffix("-dirty")) == 40


def test_the_commit_of_a_surrounding_checkout_is_not_borrowed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    assert provenance.commit() is None
