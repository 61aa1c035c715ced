"""Sentences keep to one ladder: source, series and protocol."""

from bitscape.laws import place, shared_protocol, study

FULL = {"method": "none", "w_bits": 16, "a_bits": 16}


def with_protocols(table, *protocols: str):
    """Full precision, W8 and W4, the last two quite different in the second protocol."""
    rows = []
    for index, protocol in enumerate(protocols):
        worse = 1 + 2 * index
        rows += table(a=4 * 4**index, protocol=protocol, **FULL)
        rows += table(a=3.9 * 4**index, protocol=protocol, w_bits=8)
        rows += table(a=3.8 * worse * 4**index, protocol=protocol)
    return study(rows, at=4.0)


def test_one_protocol_is_not_named(table) -> None:
    found = with_protocols(table, "n = 100")
    [ladder] = found.ladders
    assert shared_protocol(found, ladder) and place(found, ladder) == "var (here)"
    assert found.findings and all(said.startswith("var (here): ") for said in found.findings)


def test_each_protocol_has_its_own_sentences(table) -> None:
    """What a protocol's sentences say is what they say of it alone."""
    found = with_protocols(table, "guidance 1", "guidance 2")
    assert [place(found, ladder) for ladder in found.ladders] == [
        "var (here, guidance 1)",
        "var (here, guidance 2)",
    ]
    alone = with_protocols(table, "guidance 1")
    said = [text for text in found.findings if text.startswith("var (here, guidance 1): ")]
    assert [text.split(": ", 1)[1] for text in said] == [
        text.split(": ", 1)[1] for text in alone.findings
    ]
    assert all(text.startswith("var (here, guidance ") for text in found.findings)
