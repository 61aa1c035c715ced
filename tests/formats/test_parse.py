import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitscape.formats import (
    E8M0,
    Codebook,
    Float,
    Granularity,
    Int,
    SiteScheme,
    TensorScheme,
    known_schemes,
    parse_format,
    parse_scheme,
    parse_tensor_scheme,
    with_weight_bits,
)

E4M3 = Float(4, 3)
CHANNEL, TOKEN, TENSOR = Granularity("channel"), Granularity("token"), Granularity("tensor")
DYNAMIC_INT8 = TensorScheme(Int(8, signed=False), TOKEN, symmetric=False, dynamic=True)
SITES = {
    "W8A8": SiteScheme(TensorScheme(Int(8), CHANNEL), DYNAMIC_INT8),
    "W4A16": SiteScheme(TensorScheme(Int(4), CHANNEL), None),
    "W16A8": SiteScheme(None, DYNAMIC_INT8),
    "W16A16": SiteScheme(None, None),
    "W4A8@g64": SiteScheme(TensorScheme(Int(4), Granularity("group", 64)), DYNAMIC_INT8),
    "W3A16,asym": SiteScheme(TensorScheme(Int(3, signed=False), CHANNEL, symmetric=False), None),
    "W8A8,static": SiteScheme(
        TensorScheme(Int(8), CHANNEL), TensorScheme(Int(8, signed=False), TENSOR, symmetric=False)
    ),
    "We2m1A16": SiteScheme(TensorScheme(Float(2, 1), CHANNEL), None),
    "WternaryAe4m3,static": SiteScheme(
        TensorScheme(parse_format("ternary"), CHANNEL), TensorScheme(E4M3, TENSOR)
    ),
    "W2A16,vq2d": SiteScheme(TensorScheme(Codebook(2, 2), Granularity("tile", 2048)), None),
    "W2A8@g4096,vq4d": SiteScheme(
        TensorScheme(Codebook(2, 4), Granularity("tile", 4096)), DYNAMIC_INT8
    ),
    "FP8": SiteScheme(TensorScheme(E4M3, TENSOR), TensorScheme(E4M3, TENSOR)),
    "FP8_DYNAMIC": SiteScheme(TensorScheme(E4M3, CHANNEL), TensorScheme(E4M3, TOKEN, dynamic=True)),
    "MXFP4": SiteScheme(
        TensorScheme(Float(2, 1), Granularity("group", 32), scale_format=E8M0()),
        TensorScheme(Float(2, 1), Granularity("group", 32), dynamic=True, scale_format=E8M0()),
    ),
    "NVFP4A16": SiteScheme(
        TensorScheme(Float(2, 1), Granularity("group", 16), scale_format=E4M3), None
    ),
}
widths = st.sampled_from(["1", "2", "3", "4", "5", "6", "7", "8", "16"])


@pytest.mark.parametrize("name", SITES)
def test_known_names_mean_what_they_say(name: str) -> None:
    assert parse_scheme(name).default == SITES[name]
    assert parse_scheme(name).name == name


@pytest.mark.parametrize("name", known_schemes())
def test_listed_names_are_canonical(name: str) -> None:
    assert parse_scheme(name).name == name


def test_text_is_read_in_any_case_and_written_in_one() -> None:
    assert parse_scheme(" w4a8@g64,SYM ").name == "W4A8@g64"
    assert parse_scheme("mxfp4") == parse_scheme("MXFP4")


@settings(max_examples=60, deadline=None)
@given(
    w=widths,
    a=widths,
    group=st.sampled_from(["", "@g1", "@g128"]),
    symmetry=st.sampled_from(["", ",asym"]),
    static=st.sampled_from(["", ",static"]),
    role=st.sampled_from(["", "/ada=W8A16", "/attend=W16A8/head=MXFP8"]),
)
def test_parse_inverts_the_name(
    w: str, a: str, group: str, symmetry: str, static: str, role: str
) -> None:
    weight = "" if w == "16" else group + symmetry
    text = f"W{w}A{a}{weight}{'' if a == '16' else static}{role}"
    scheme = parse_scheme(text)
    assert scheme.name == text
    assert parse_scheme(str(scheme)) == scheme
    for site in (scheme.default, *(site for _, site in scheme.roles)):
        for tensor in (site.weight, site.activation):
            assert tensor is None or parse_tensor_scheme(str(tensor)) == tensor


def test_modulation_keeps_its_activations_and_attention_everything() -> None:
    scheme = parse_scheme("W4A8")
    assert scheme.at("ada") == SiteScheme(scheme.default.weight, None)
    assert scheme.at("attend") == SiteScheme(None, None)
    assert scheme.at("qkv") == scheme.default


def test_roles_override_the_default() -> None:
    scheme = parse_scheme("W4A16/head=W16A16/ada=W8A8")
    assert scheme.at("ada") == parse_scheme("W8A8").default
    assert scheme.at("head") == SiteScheme(None, None)
    assert scheme.at("fc1") == parse_scheme("W4A16").default
    assert scheme.name == "W4A16/ada=W8A8/head=W16A16"


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("W4A88", "W4A8"),
        ("MXFP5", "MXFP4"),
        ("FP8_DYNAMC", "FP8_DYNAMIC"),
        ("W4A16/ada=W9A16", "W8A16"),
        ("W4A16@g0", "W4A16"),
        ("", "W8A8"),
    ],
)
def test_unknown_text_names_the_nearest_scheme(text: str, nearest: str) -> None:
    with pytest.raises(ValueError, match="unknown scheme") as error:
        parse_scheme(text)
    assert nearest in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("W16A8@g64", "16-bit weights"),
        ("W4A16,static", "16-bit activations"),
        ("We2m1A16,asym", "no zero point"),
        ("We9m9A16", "at most 8 bits"),
        ("W4A16/ada", "role=scheme"),
        ("W4A16/ada=W8A16/ada=W4A16", "once"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_scheme(text)


@pytest.mark.parametrize("name", ["int9", "int0", "float4", "e4", "INT4", "codebook4"])
def test_unknown_formats_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"unknown format|1 to 8 bits"):
        parse_format(name)


@pytest.mark.parametrize(
    "text", ["int4", "int4@row", "int4@g", "int4@channel*", "@token", "int4@s", "int4@s8+"]
)
def test_unknown_tensor_schemes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unknown tensor scheme"):
        parse_tensor_scheme(text)


@pytest.mark.parametrize("text", ["W3A16,vq4d", "We2m1A16,vq2d", "W16A16,vq2d"])
def test_codes_beyond_a_byte_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at most 8 bits"):
        parse_scheme(text)


def test_splits_have_widths_of_their_own() -> None:
    scheme = parse_tensor_scheme("uint3@s324+288")
    assert scheme.granularity == Granularity("split", widths=(324, 288))
    assert str(scheme) == "uint3@s324+288"


def test_codebooks_come_by_tile_and_nothing_else_does() -> None:
    for text in ("codebook2x2@channel", "int4@t64"):
        with pytest.raises(ValueError, match="come by tile"):
            parse_tensor_scheme(text)
    assert str(parse_tensor_scheme("codebook2x2@t64")) == "codebook2x2@t64"


def test_papers_call_ternary_by_its_information() -> None:
    assert parse_scheme("W1.58A8") == parse_scheme("WternaryA8")


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("W4A4", "W2A4"),
        ("W4A8@g64,static/head=W8A8/proj=W4A16", "W2A8@g64,static/head=W8A8/proj=W2A16"),
        ("W8A4", "W8A4"),
    ],
)
def test_weights_of_one_width_are_narrowed_and_nothing_else(wide: str, narrow: str) -> None:
    assert with_weight_bits(parse_scheme(wide), 4, 2) == parse_scheme(narrow)
