from PIL import Image

from bitscape.reports.benchmark.figure import draw
from bitscape.reports.benchmark.results import results


def test_a_panel_for_each_kind_of_loss(record, tmp_path) -> None:
    one = [record(f"{name}-w4a16", rise) for name, rise in (("rtn", 0.4), ("gptq", 0.1))]
    two = [record("rtn-w4a16", 0.5, model="zoo:dit-s", loss="denoising_loss")]
    with Image.open(draw(results(one), tmp_path / "one.png")) as picture:
        narrow = picture.width
    with Image.open(draw(results([*one, *two]), tmp_path / "two.png")) as picture:
        assert picture.width > 1.5 * narrow


def test_a_long_name_widens_its_panel_and_leaves_room_for_the_marks(record, tmp_path) -> None:
    long = f"topkld-w4a16:{','.join(f'option{i}=value' for i in range(8))}"
    widths = []
    for name in ("gptq-w4a16", long):
        # Beside another one, since options that all recipes share are not told.
        pair = [record(name, 0.1), record("rtn-w4a16", 0.4)]
        with Image.open(draw(results(pair), tmp_path / "panel.png")) as picture:
            widths.append(picture.width)
    assert widths[1] > 1.5 * widths[0]
