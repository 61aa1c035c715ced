"""Why to doubt a study, whatever form was chosen."""

from bitscape.laws import study
from bitscape.laws.caveats import caveats


def weak(found) -> str:
    """The caveat on degrees of freedom."""
    return caveats(found)[0]


def chosen_as(found, form: str):
    """The study with another form chosen for every setting."""
    laws = tuple(law.model_copy(update={"chosen": law.form == form}) for law in found.laws)
    return found.model_copy(update={"laws": laws})


def test_degrees_of_freedom_are_those_of_the_chosen_form(table) -> None:
    found = study([row for bits in (4, 8) for row in table(w_bits=bits, noise=0.05, seed=bits)])
    assert "4 sizes a setting leave 2 degrees of freedom" in weak(chosen_as(found, "power"))
    assert "4 sizes a setting leave 1 degree of freedom" in weak(chosen_as(found, "power-floor"))
    shared = weak(chosen_as(found, "effective"))
    assert (
        "laws that share an exponent over 4 sizes a setting among precisions have 5 degrees"
        in shared
    )
    assert "No setting has the three sizes" not in shared


def test_without_laws_it_says_so(table) -> None:
    assert (
        weak(study(table(sizes=(1e8, 1e9)))) == "No setting has the three sizes that a law needs."
    )
