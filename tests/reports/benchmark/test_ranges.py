import pytest
import torch

from bitscape.models import FAMILIES
from bitscape.reports.benchmark.ranges import SiteRange, page, site_ranges
from bitscape.structure import Kind


@pytest.mark.parametrize("family", ["var", "dit"])
def test_every_linear_layer_has_a_range_in_each_group(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    sites = [s for s in pipeline.adapter.sites(pipeline.network) if s.kind is Kind.LINEAR]
    found = site_ranges(pipeline, count=2)
    assert [each.site for each in found] == [site.name for site in sites]
    assert all(min(each.groups) >= 0 and each.channels >= 1 for each in found)
    assert max(len(each.groups) for each in found) > 1


def test_a_widened_channel_shows() -> None:
    plain, widened = FAMILIES["var"].tiny(), FAMILIES["var"].tiny()
    with torch.no_grad():
        widened.network.blocks[0].mlp.fc1.weight[3] *= 1000
    before, after = (site_ranges(p, count=2) for p in (plain, widened))
    place = [each.site for each in before].index("blocks.0.mlp.fc2")
    assert after[place].channels > 10 * before[place].channels


def test_the_page_has_a_row_a_layer_and_says_the_medians() -> None:
    ranges = [SiteRange("a", (1.0, 2.5), 4.0), SiteRange("b", (3.0, 3.0), 8.0)]
    text = page([("toy", ranges)])
    assert "| a | 1 2.5 | 2.5 | 4.0 |" in text
    assert "1.8 times as wide as the narrowest, the widest channel 6.0 times" in text
