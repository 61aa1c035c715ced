from bitscape.laws import order, shared_options, shortened

NESTED = "matryoshka-w4a16:data=shapes,weights=[1,1,1],steps=400"


def test_only_what_every_recipe_with_options_has_is_shared() -> None:
    others = ["topkld-w2a16:steps=400,data=shapes", "full-precision", "own.yaml"]
    assert shared_options([NESTED, *others]) == ["data=shapes", "steps=400"]
    assert shared_options([NESTED, "topkld-w2a16:steps=200"]) == []


def test_one_recipe_shares_nothing() -> None:
    assert shared_options([NESTED, NESTED, "full-precision"]) == []


def test_names_keep_their_own_options_and_the_width_they_were_read_at() -> None:
    shared = ["data=shapes", "steps=400"]
    assert shortened(NESTED, shared) == "matryoshka-w4a16:weights=[1,1,1]"
    assert shortened(f"{NESTED} at 2 bits", shared) == "matryoshka-w4a16:weights=[1,1,1] at 2 bits"
    assert shortened("topkld-w2a16:steps=400,data=shapes", shared) == "topkld-w2a16"
    assert shortened("own.yaml", shared) == "own"


def test_a_width_does_not_hide_a_shared_option() -> None:
    assert shared_options([f"{NESTED} at 3 bits", "topkld-w3a16:steps=400"]) == ["steps=400"]


def test_numbers_are_in_order_of_their_size() -> None:
    names = ["t:k=150", "t:k=15", "t:k=75", "t", "t:loss=b,rate=1e-2", "t:loss=b,rate=3e-4"]
    assert sorted(names, key=order) == [
        "t",
        "t:k=15",
        "t:k=75",
        "t:k=150",
        "t:loss=b,rate=3e-4",
        "t:loss=b,rate=1e-2",
    ]
