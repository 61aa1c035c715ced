from pathlib import Path

from bitscape.reports.committed import Committed, read_committed, write_committed


def test_table_survives_a_round_trip(tmp_path: Path) -> None:
    table = (
        Committed("shapes", 5000).add("zoo:var-l", "full", 12.5).add("zoo:var-l", "rtn-w8a8", 13)
    )
    write_committed(table, tmp_path / "table.json")
    assert read_committed(tmp_path / "table.json") == table


def test_missing_value_is_none() -> None:
    table = Committed("shapes", 5000).add("zoo:var-l", "full", 12.5)
    assert table.distance("zoo:var-l", "full") == 12.5
    assert table.distance("zoo:var-l", "gptq-w3a16") is None
    assert table.distance("zoo:dit-l", "full") is None


def test_package_ships_a_table() -> None:
    assert read_committed().samples == 5000
