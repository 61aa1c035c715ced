"""Reading CSV files and run records into one table."""

from pathlib import Path

import pytest

from bitscape.laws import Bits, Quality, RunRecord, append, read_table, study
from bitscape.laws.settings import ladder_of
from bitscape.laws.table import activation_bits, series_of

HEADER = "model,family,params,method,w_bits,a_bits,metric,value\n"


def written(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.write_text(header + "".join(f"{line}\n" for line in lines))
    return path


def run(**changes: object) -> RunRecord:
    fields: dict[str, object] = {
        "key": "a",
        "model": "zoo:var-s",
        "family": "var",
        "parameters": 160_000,
        "recipe": "gptq-w4a8",
        "method": "gptq",
        "scheme": "W4A8",
        "seed": 0,
        "evaluation": {"sampler": {"guidance": 1.5}},
        "status": "done",
        "bits": Bits(
            nominal_weight=4, actual_weight=4.25, nominal_model=7e5, actual_model=8e5, compute=1e7
        ),
        "quality": Quality(
            protocol="shapes",
            n=100,
            seeds=(0,),
            metrics={"nll": {"mean": 2.5}, "kl": 0.1, "psnr": None, "seeds": [1], "fid": -1.0},
        ),
        "seconds": 3.5,
        "version": "0",
        "commit": None,
        "machine": "cpu",
        "created": "2026-01-01T00:00:00+00:00",
    }
    return RunRecord(**fields | changes)


def test_csv_defaults(tmp_path: Path) -> None:
    (row,) = read_table(written(tmp_path / "t.csv", "var-s,var,1e9,gptq,4,8,fid,2.5"))
    assert (row.source, row.series, row.scheme) == (str(tmp_path / "t.csv"), "var", "W4A8")
    assert (row.model_bits, row.compute_bits, row.actual_bits) == (4, 32, None)


def test_csv_bits_may_be_given(tmp_path: Path) -> None:
    header = HEADER.strip() + ",actual_bits,series\n"
    path = written(tmp_path / "t.csv", "m,var,1e9,gptq,4,8,fid,2.5,4.5e9,x", header=header)
    (row,) = read_table(path)
    assert (row.actual_bits, row.series) == (4.5, "x")


def test_float32_counts_as_16_bits(tmp_path: Path) -> None:
    (row,) = read_table(written(tmp_path / "t.csv", "m,var,1e9,fp32,32,32,fid,2.5"))
    assert (row.w_bits, row.model_bits, row.compute_bits) == (32, 16, 256)


@pytest.mark.parametrize("value", ["", "0", "-1", "inf", "x"])
def test_wrong_numbers_name_their_line(tmp_path: Path, value: str) -> None:
    path = written(
        tmp_path / "t.csv", "m,var,1e9,gptq,4,8,fid,2", f"m,var,1e9,gptq,4,8,fid,{value}"
    )
    with pytest.raises(ValueError, match="line 3: value is"):
        read_table(path)


def test_missing_columns_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no column 'family', found 'model'; .*model,family,"):
        read_table(written(tmp_path / "t.csv", header="model\n"))
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_table(tmp_path / "none")


@pytest.mark.parametrize("column", ["Model", " model", "MODEL "])
def test_a_column_that_is_spelt_otherwise_is_shown(tmp_path: Path, column: str) -> None:
    path = written(tmp_path / "t.csv", header=HEADER.replace("model", column))
    with pytest.raises(ValueError, match=f"no column 'model', found '{column}';"):
        read_table(path)


def test_a_decimal_comma_is_not_read_as_another_number(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "a,f,1e8,gptq,4,16,fid,2.5", "a,f,1e8,gptq,4,16,fid,3,52")
    with pytest.raises(ValueError, match=r"t\.csv, line 3: 9 cells for 8 columns: .* a point"):
        read_table(path)


@pytest.mark.parametrize("line", ["a,f,1e8,gptq,4,16,fid", "a,,1e8,gptq,4,16,fid,2"])
def test_a_cell_that_a_law_needs_is_not_empty(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"line 2: (value|family) is empty"):
        read_table(written(tmp_path / "t.csv", line))


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "", "a,f,1e8,gptq,4,16,fid,2", "", "a,f,1e8,gptq,4,16,fid,x")
    with pytest.raises(ValueError, match="line 5: value is 'x'"):
        read_table(path)


def test_the_ending_of_a_csv_may_be_in_capitals(tmp_path: Path) -> None:
    line = "a,f,1e8,gptq,4,16,fid,2.5"
    (row,) = read_table(written(tmp_path / "T.CSV", line))
    assert row.value == 2.5


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    text = HEADER + "a,f,1e8,gptq,4,16,fid,2.5\n"
    plain, marked = tmp_path / "plain.csv", tmp_path / "marked.csv"
    plain.write_bytes(text.encode())
    marked.write_bytes(text.encode("utf-8-sig"))
    (one,), (other,) = read_table(plain), read_table(marked)
    assert other == one._replace(source=str(marked))


def test_another_encoding_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(HEADER.encode("utf-16"))
    with pytest.raises(ValueError, match=r"t\.csv is not text in UTF-8: save it as CSV UTF-8"):
        read_table(path)


def test_records_of_a_sweep(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append(path, run())
    failed = {"status": "failed", "reason": "no", "bits": None, "quality": None}
    append(path, run(key="b", **failed))
    rows = read_table(tmp_path)
    assert rows == read_table(path)
    assert {row.metric: row.value for row in rows} == {"nll": 2.5, "kl": 0.1}
    row = rows[0]
    assert (row.w_bits, row.a_bits, row.series) == (4, 8, "var")
    assert (row.model_bits, row.actual_bits, row.compute_bits) == (7e-4, 8e-4, 0.01)
    assert (row.protocol, row.samples) == ("shapes, guidance 1.5", 100)
    assert ladder_of(row).protocol == "shapes, guidance 1.5, n = 100"


def test_records_say_what_full_precision_reached_beside_them(tmp_path: Path) -> None:
    """The error of a loss is that of its paired images, of a distance that over its seeds."""
    metrics = {
        "nll": {"mean": 2.5, "n": 1000, "difference": {"mean": 0.5, "standard_error": 0.1}},
        "fd_shapes": {
            "mean": 30.0,
            "n": 2000,
            "values": [29.0, 30.0, 31.0, 30.0],
            "difference": {"mean": 3.0, "std": 0.8},
        },
        "fd_latent": {"mean": 0.5, "values": [0.5], "difference": {"mean": 0.1, "std": None}},
        "full_precision": {"model": "zoo:var-s", "nll": {"mean": 2.0}, "fd_shapes": {"mean": 27.0}},
    }
    quality = Quality(protocol="shapes", n=2000, seeds=(0, 1, 2, 3), metrics=metrics)
    append(tmp_path / "runs.jsonl", run(quality=quality))
    found = {row.metric: (row.samples, row.full, row.error) for row in read_table(tmp_path)}
    assert found == {
        "nll": (1000, 2.0, 0.1),
        "fd_shapes": (2000, 27.0, 0.4),
        "fd_latent": (2000, None, None),
    }


def test_a_study_of_records_reads_either_accounting(tmp_path: Path) -> None:
    for index, size in enumerate((1e5, 3e5, 9e5)):
        bits = Bits(
            nominal_weight=4,
            actual_weight=5,
            nominal_model=4 * size,
            actual_model=5 * size,
            compute=32 * size,
        )
        quality = Quality(protocol="shapes", n=9, seeds=(0,), metrics={"nll": 5 * size**-0.1})
        append(
            tmp_path / "runs.jsonl",
            run(key=str(index), parameters=int(size), bits=bits, quality=quality),
        )
    rows = read_table(tmp_path)
    nominal, actual = (study(rows, accounting=way, at=1.4) for way in ("nominal", "actual"))
    assert nominal.metric == "nll" and nominal.laws[0].alpha == pytest.approx(0.1)
    assert actual.laws[0].bits_at == pytest.approx(1.25 * nominal.laws[0].bits_at)


@pytest.mark.parametrize(
    ("scheme", "bits"),
    [
        ("W4A8", 8),
        ("W4A16@g64", 16),
        ("W4A8,static/ada=W8A16", 8),
        ("We2m1Ae4m3", 8),
        ("WternaryA8", 8),
        ("FP8_DYNAMIC", 8),
        ("MXFP4", 4),
        ("NVFP4", 4),
        ("W8A16", 16),
    ],
)
def test_activation_bits(scheme: str, bits: int) -> None:
    assert activation_bits(scheme) == bits


@pytest.mark.parametrize(
    ("model", "family", "series"),
    [
        ("zoo:var-s", "var", "var"),
        ("zoo:var-s-seed1", "var", "var"),
        ("zoo:var-l-outlier", "var", "var-outlier"),
        ("dit-XL-2", "dit", "dit-2"),
        ("par-3b-16x", "par", "par-16x"),
    ],
)
def test_series(model: str, family: str, series: str) -> None:
    assert series_of(model, family) == series
