"""`bitscape plan`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bitscape.cli import options
from bitscape.cli.quantities import bytes_of, size
from bitscape.cli.terminal import Terminal
from bitscape.laws import FULL_BITS, Answer, Budget, Candidate, plan, read_profile, read_study
from bitscape.laws.planner import spent

Model = Annotated[
    str | None,
    typer.Argument(metavar="[MODEL]", help="Choose bits for each layer of this model instead."),
]
LawFile = Annotated[
    Path | None, typer.Option("--law", help="The folder of `bitscape law --out`, or its law.json.")
]
Memory = Annotated[str | None, typer.Option("--memory", help="The network at most, such as 1.5GB.")]
Compute = Annotated[
    float | None, typer.Option("--compute-bits", help="Compute bits at most, in units of 1e9.")
]
Latency = Annotated[
    float | None, typer.Option("--latency-ms", help="Milliseconds an image at most.")
]
Profile = Annotated[
    list[Path] | None,
    typer.Option("--device-profile", help="bench.json of the device; several sizes may follow."),
]
Quality = Annotated[
    float | None, typer.Option("--quality", help="Good enough: take the cheapest that reaches it.")
]
Recipe = Annotated[
    str | None, typer.Option("--recipe", help="With MODEL, a recipe of mixed: mixed-w4a16 if left.")
]
Family = Annotated[str | None, typer.Option("--family", help="Answer for this family only.")]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("plan", help=summary)(deploy)


def deploy(
    model: Model = None,
    law: LawFile = None,
    memory: Memory = None,
    compute_bits: Compute = None,
    latency_ms: Latency = None,
    device_profile: Profile = None,
    quality: Quality = None,
    family: Family = None,
    recipe: Recipe = None,
    seed: options.Seed = 0,
    checkpoint: options.Checkpoint = None,
    tokenizer: options.Tokenizer = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Name what to deploy under one budget: of a law, or within one model.

    With --law the best model, method and precision of each source and family; with MODEL the bits
    of each of its layers.
    """
    terminal = Terminal(json, verbose)
    budget = _budget(memory, compute_bits, latency_ms)
    if (model is None) == (law is None):
        raise ValueError("give --law to choose among models, or MODEL to choose bits within one")
    if law is None:
        lawful = (latency_ms, device_profile, quality, family)
        if any(value is not None for value in lawful):
            raise ValueError("latency, quality and family are answered from a law: give --law")
        chosen = recipe or "mixed-w4a16"
        within(terminal, str(model), budget, chosen, seed, checkpoint, tokenizer)
        return
    _require_lawful(recipe=recipe, seed=seed or None, checkpoint=checkpoint, tokenizer=tokenizer)
    among(terminal, law, budget, device_profile or [], quality, family)


def among(
    terminal: Terminal,
    law: Path,
    budget: Budget,
    profiles: Sequence[Path],
    quality: float | None,
    family: str | None,
) -> None:
    """Print the best model, method and precision by a law."""
    if profiles and budget.kind != "latency":
        raise ValueError("--device-profile is for a budget of time: add --latency-ms, or drop it")
    profile = read_profile(profiles)
    answers = plan(read_study(law), budget, quality=quality, profile=profile)
    if not answers:
        raise ValueError(f"{law}: no setting has the three sizes that a law needs: measure more")
    if family is not None:
        known = sorted({answer.family for answer in answers})
        answers = [answer for answer in answers if answer.family == family]
        if not answers:
            raise ValueError(f"no law of family {family!r}: the file has {', '.join(known)}")
    _require_an_answer(answers)
    found = {
        "budget": budget.model_dump(),
        "quality": quality,
        "answers": [answer.model_dump(mode="json") for answer in answers],
    }
    places = Counter((answer.source, answer.series) for answer in answers)
    texts = [_words(answer, budget, places[answer.source, answer.series] > 1) for answer in answers]
    terminal.result(found, "\n\n".join(texts))


def within(
    terminal: Terminal,
    name: str,
    budget: Budget,
    recipe: str,
    seed: int,
    checkpoint: Path | None,
    tokenizer: Path | None,
) -> None:
    """Print the bits of each layer of one model."""
    # Only here, so that a plan by a law does not wait for every method and model.
    from bitscape import api
    from bitscape.recipes import find_recipe

    model = api.load(name, checkpoint=checkpoint, tokenizer=tokenizer)
    with terminal.progress() as report:
        found = api.plan_layers(
            model,
            find_recipe(recipe),
            memory=budget.limit if budget.kind == "memory" else None,
            compute_bits=budget.limit if budget.kind == "compute-bits" else None,
            seed=seed,
            progress=report,
        )
    command = f"bitscape quantize {name} --recipe {recipe} --option {found.option} --out DIR"
    uniform = f"{found.uniform_bits} bits everywhere"
    error = f"{found.errors['mixed']:.3g} against {found.errors['uniform']:.3g} of {uniform}"
    won = "" if found.chosen == "mixed" else f", so {uniform} it stays"
    terminal.result(
        {"model": name, "recipe": recipe, "budget": budget.model_dump(), **asdict(found)}
        | {"command": command},
        "\n".join(f"{bits:2} bits  {site}" for site, bits in found.bits.items())
        + f"\n\n{size(int(found.memory_bytes))}, {found.compute_bits:.3g}e9 compute bits; error of "
        f"the output {error}{won}.\n{command}",
    )


def _require_lawful(**given: object) -> None:
    """Raise ValueError for an option that a law has no use for."""
    idle = [name for name, value in given.items() if value is not None]
    if idle:
        raise ValueError(f"--{idle[0]} belongs to MODEL: drop it, a law names its methods itself")


def _require_an_answer(answers: Sequence[Answer]) -> None:
    """Raise ValueError, with every reason, where nothing can be deployed."""
    if all(answer.best is None for answer in answers):
        reasons = (f"{answer.series}, {answer.source}: {answer.reason}" for answer in answers)
        raise ValueError("; ".join(reasons))


def _budget(memory: str | None, compute_bits: float | None, latency_ms: float | None) -> Budget:
    given = [
        budget
        for budget in (
            None if memory is None else Budget(kind="memory", limit=bytes_of(memory)),
            None if compute_bits is None else Budget(kind="compute-bits", limit=compute_bits),
            None if latency_ms is None else Budget(kind="latency", limit=latency_ms),
        )
        if budget is not None
    ]
    if len(given) != 1:
        raise ValueError("give one of --memory, --compute-bits and --latency-ms")
    return given[0]


def _words(answer: Answer, budget: Budget, protocol: bool) -> str:
    place = f"{answer.series}, {answer.source}" + (f", {answer.protocol}" if protocol else "")
    lines = [f"{place}: {answer.reason}."]
    named = {"deploy": answer.best, "runner-up": answer.runner_up, "unproven": answer.tempting}
    shown = {word: one for word, one in named.items() if one is not None}
    lines += [f"  {word:10}{_line(one, answer.metric, budget)}" for word, one in shown.items()]
    if budget.kind == "memory" and any(one.accounting == "nominal" for one in shown.values()):
        lines.append(
            "  Nominal bytes are width times parameters: scales and leftovers come on top."
        )
    return "\n".join(lines)


def _line(one: Candidate, metric: str, budget: Budget) -> str:
    low, high = one.quality_ci
    stored = " stored in 16 bits" if one.w_bits > FULL_BITS else ""
    measured = "" if one.measured is None else f", measured {one.measured:.3g}"
    counted = f" {one.accounting}" if budget.kind == "memory" else ""
    cost = f"{spent(budget.kind, one.cost)}{counted}"
    return (
        f"{one.model} {one.method} {one.scheme}{stored}, {cost}: {metric} {one.quality:.3g} "
        f"({low:.3g} to {high:.3g}){measured}, {_reach(one)}"
    )


def _reach(one: Candidate) -> str:
    """How far quality, and where it counts time, are carried beyond what was measured."""
    law = (
        f"extrapolated to {one.times_beyond:.3g} times the sizes measured"
        if one.extrapolated
        else "within the sizes measured"
    )
    if one.time_beyond is None or one.time_beyond == 1:
        return law
    return f"{law}, its time extrapolated to {one.time_beyond:.3g} times the sizes timed"
