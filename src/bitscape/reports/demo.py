"""The demo: quantize the bundled models, and show in one page what that cost."""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bitscape.reports.collect import Say, collect
from bitscape.reports.committed import read_committed
from bitscape.reports.overview import draw_overview
from bitscape.reports.page import page
from bitscape.reports.results import Demo
from bitscape.reports.settings import Plan, full_plan, short_plan
from bitscape.reports.speed import measure_speed
from bitscape.reports.table import print_tables

BAD_INPUT = 2


def main() -> int:
    """Run the demo from the command line; 0 on success, 2 with one line on bad input."""
    parser = argparse.ArgumentParser(prog="python -m bitscape.reports", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for page and models")
    parser.add_argument("--short", action="store_true", help="smallest models, few samples")
    options = parser.parse_args()
    try:
        plan = short_plan() if options.short else full_plan()
        demo = run(plan, options.out, Narrator(len(plan.models) * len(plan.settings) + 1))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    print_tables(demo)
    print(f"\nWrote {options.out / 'index.html'} and {options.out / 'overview.png'}")
    return 0


def run(plan: Plan, out: Path, say: Say) -> Demo:
    """Carry out `plan` and write index.html, overview.png and the artefacts to `out`."""
    start = time.perf_counter()
    committed = read_committed()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bitscape-demo-") as workspace:
        panels = collect(plan, out / "models", Path(workspace), committed, say)
    say("one large block in every arithmetic")
    demo = Demo(
        panels=panels,
        speed=measure_speed(plan.speed_seconds),
        preview_samples=plan.samples,
        committed_samples=committed.samples,
        losses_on=plan.lessons,
        seconds=time.perf_counter() - start,
    )
    draw_overview(demo, out / "overview.png")
    (out / "index.html").write_text(page(demo))
    return demo


@dataclass
class Narrator:
    """Announces each of `total` steps on stderr, with the time that is probably left."""

    total: int
    done: int = 0
    start: float = field(default_factory=time.perf_counter)

    def __call__(self, text: str) -> None:
        elapsed = time.perf_counter() - self.start
        left = elapsed / self.done * (self.total - self.done) if self.done else None
        remaining = "" if left is None else f"   (about {left:.0f} s left)"
        self.done += 1
        print(f"[{self.done}/{self.total}] {text}{remaining}", file=sys.stderr, flush=True)
