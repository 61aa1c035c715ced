from bitscape.sweeps import estimate_cells, run_cells


def test_without_records_the_seconds_come_from_probes(cells, runner, tmp_path) -> None:
    found = estimate_cells(cells, runner, tmp_path / "new")
    assert (found.cells, found.finished, found.basis) == (8, 0, "probes")
    # Each of the two models needs its full precision, which this grid does not list.
    assert found.seconds == 8 * (10.0 + 1.0) + 2 * 10.0
    assert found.disk_bytes == 2 * 1000
    assert found.memory_bytes == 5000
    assert runner.ran == []
    assert not (tmp_path / "new").exists()


def test_records_of_the_same_model_replace_probes(cells, runner, tmp_path) -> None:
    run_cells(cells[:1], runner, tmp_path)
    found = estimate_cells(cells, runner, tmp_path)
    assert (found.finished, found.basis) == (1, "both")
    # Measuring took 1.5 seconds; quantizing is known of the recipe that ran, at another seed.
    assert found.seconds == 3 * 1.5 + 0.5 + 2 * 1.0 + 4 * (10.0 + 1.0) + 10.0


def test_a_finished_sweep_costs_nothing(cells, runner, tmp_path) -> None:
    run_cells(cells, runner, tmp_path)
    found = estimate_cells(cells, runner, tmp_path)
    assert (found.seconds, found.disk_bytes, found.basis) == (0, 0, "nothing to do")


def test_models_that_cannot_be_probed_are_named_and_left_out(cells, runner, tmp_path) -> None:
    probe = runner.probe

    def only_b(cell):
        if cell.model == "a":
            raise ValueError("no model 'a'")
        return probe(cell)

    runner.probe = only_b
    found = estimate_cells(cells, runner, tmp_path)
    assert found.unready == ("no model 'a'",)
    assert found.seconds == 4 * 11.0 + 10.0
    assert (found.cells, found.basis) == (8, "probes")
