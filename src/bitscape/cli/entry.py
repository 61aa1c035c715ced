"""The command `bitscape`: finds the command that was asked for and turns errors into exit codes.

Only the module of that command is imported, so that `bitscape --help` does not wait for torch.
"""

import errno
import importlib
import importlib.metadata
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from safetensors import SafetensorError

SUMMARIES = {
    "models": "List the models that can be quantized.",
    "recipes": "List recipes; `recipes show NAME` prints one in full.",
    "doctor": "Say what a file of weights is, and whether it would load.",
    "quantize": "Quantize a model into an artefact folder.",
    "distill": "Quantize and train towards full precision, for 2 to 4 bits.",
    "sample": "Draw images into a grid.",
    "evaluate": "Measure the quality of a model beside full precision.",
    "compare": "Draw two models side by side on the same seeds.",
    "inspect": "Show the real bytes, formats and kernels of an artefact.",
    "analyze": "Say where the error of a quantized model comes from.",
    "bench": "Time a model against float32 and bfloat16.",
    "sweep": "Run a grid of model x recipe x seed, resumably.",
    "law": "Fit bit-level scaling laws to runs, a CSV or published results.",
    "plan": "Say what to deploy under a budget of memory, compute or time.",
    "zoo": "Train the bundled models.",
}


def application(asked: str | None) -> typer.Typer:
    """The application with the command `asked` in full and every other one as its summary."""
    app = typer.Typer(
        name="bitscape",
        help="Quantize vision generative models, run them packed, and see what was lost.",
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for name, summary in SUMMARIES.items():
        if name == asked:
            register: Callable[[typer.Typer, str], None] = importlib.import_module(
                f"bitscape.cli.{name}"
            ).register
            register(app, summary)
        else:
            app.command(name, help=summary)(_not_loaded)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of one command line: 0 for success, 2 for bad input, 1 for our own fault."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    asked = next((word for word in words if not word.startswith("-")), None)
    try:
        code = application(asked)(args=words, prog_name="bitscape", standalone_mode=False)
    except BrokenPipeError:
        # The reader of stdout has gone (`| head`): there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted; run the same command again to continue", 1)
    except typer.TyperException as error:
        return _fail(error.format_message(), 2)
    except (ValueError, OSError, SafetensorError) as error:
        return _fail(_reason(error), 2, error if {"-v", "--verbose"} & set(words) else None)
    except Exception as error:  # the top of the program: whatever is left is our own fault
        return _fail(f"internal error, please report it: {_reason(error)}", 1, error)
    return code if isinstance(code, int) else 0


def _reason(error: BaseException) -> str:
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    if full or (isinstance(error, SafetensorError) and "No space left" in str(error)):
        return "no space left on the disk: free some and run the same command again to continue"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _fail(reason: str, code: int, error: BaseException | None = None) -> int:
    if error is not None:
        traceback.print_exception(error, file=sys.stderr)
    sys.stderr.write("bitscape: " + " ".join(reason.split()) + "\n")
    return code


def _not_loaded() -> None:
    raise AssertionError("a command ran that the command line did not name")


def _print_version(value: bool) -> bool:
    if value:
        sys.stdout.write(f"bitscape {importlib.metadata.version('bitscape')}\n")
        raise typer.Exit
    return value


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass
