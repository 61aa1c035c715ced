from bitscape.sweeps import MemoryNeeds, free_memory, run_cells


def test_a_cell_needs_what_the_same_run_took_before_or_a_probe(cells, runner, tmp_path) -> None:
    known = {record.key: record for record in run_cells(cells[:1], runner, tmp_path)}
    needs = MemoryNeeds(runner, known)
    assert needs(cells[0]) == 5000
    known[cells[0].key] = known[cells[0].key].model_copy(update={"peak_memory_bytes": 7000})
    same, other_recipe, other_model = cells[1], cells[2], cells[4]
    assert [needs(cell) for cell in (same, other_recipe, other_model)] == [7000, 7000, 5000]


def test_a_cell_that_cannot_be_probed_is_left_to_fail_when_it_runs(cells, runner) -> None:
    runner.probe = lambda cell: 1 / 0
    assert MemoryNeeds(runner, {})(cells[0]) == 0


def test_some_memory_is_free() -> None:
    assert 2**20 < free_memory() < 2**50
