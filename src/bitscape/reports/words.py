"""The plain words of the page: what a newcomer needs, and sentences made from the numbers."""

from math import floor, log10

from bitscape.reports.results import Difference, Panel, Row

HEADLINE = "The same pictures, drawn with fewer and fewer bits"

LEDE = (
    "A trained image generator is a long list of numbers, its weights. Each is normally stored in "
    "16 bits. Quantization stores it in 8, 4 or 3 bits instead: the file shrinks, and every weight "
    "moves a little, to one of the few values that can still be written."
)

HOW_TO_READ = (
    "Each row is the same trained network, stored in a different way. Each column starts from the "
    "same random seed, so whatever changes down a column was changed by quantization alone."
)

LOOK_FOR = {
    "var": (
        "VAR chooses patches from a catalogue of 512. One changed choice can lead to another "
        "picture that is just as good: look for broken shapes and wrong colours, not any change."
    ),
    "dit": (
        "DiT starts from noise and cleans it step by step. Small errors move edges and colours "
        "slightly; look for blur, specks and shapes that fall apart."
    ),
}

FAMILY = {
    "var": "VAR, a language-style model: it predicts image patches from coarse to fine",
    "dit": "DiT, a diffusion model: it removes noise step by step",
}

LOSS_UNIT = {"nll": "nats per patch", "denoising_loss": "squared error"}

COLUMNS = {
    "File": "Bytes on disk of the network's weights, scales included.",
    "Loss rise": (
        "How much worse the model predicts images it has never seen, measured image by image "
        "against the 16-bit weights. The most sensitive number here. Zero means unharmed."
    ),
    "FD-shapes": (
        "Fréchet distance between generated and real images, seen through a small evaluation "
        "network: lower is better. With few images it is a rough preview (and too high), so "
        "the value measured once with many more images stands beside it."
    ),
    "Right class": (
        "How often that network recognises in the picture the class that was asked for."
    ),
}

GLOSSARY = {
    "W8A8, W4A16, W3A16": (
        "Bits per weight (W) and bits per activation (A), the intermediate values that flow "
        "through the network. A16 leaves those alone."
    ),
    "RTN": "Round to nearest: each weight on its own goes to the closest storable value.",
    "GPTQ": (
        "Rounds one column of weights at a time and corrects the columns not yet rounded, so that "
        "the layer's output on sample images changes as little as possible. The file has the same "
        "size as with RTN."
    ),
    "scales": (
        "Each row of a weight matrix also stores one number that says how far apart its storable "
        "values lie. Embeddings, biases and the picture decoder keep 16 bits, which is why 4 bits "
        "is not exactly a quarter of the size."
    ),
}

TOO_SMALL_FOR_SPEED = (
    "The networks above are so small that 8-bit arithmetic cannot make them faster: preparing the "
    "numbers takes as long as multiplying them. What it brings at a realistic size is measured "
    "here on one transformer block of the size used in VAR-d16, with random weights (they do not "
    "change the time)."
)


def megabytes(count: int) -> str:
    """Bytes as decimal megabytes, with the digits that matter."""
    return f"{count / 1e6:.2f} MB" if count < 1e8 else f"{count / 1e6:.0f} MB"


def difference(value: Difference | None) -> str:
    """A paired difference and its standard error, to that error's first digit; a dash for none."""
    if value is None:
        return "–"
    error = value.standard_error
    digits = max(0, -floor(log10(error))) if error > 0 else 4
    return f"{value.mean:+.{digits}f} ± {error:.{digits}f}"


def distance(row: Row, committed_samples: int) -> str:
    """The committed Fréchet distance of a row, or that there is none."""
    if row.fd_committed is None:
        return f"none at {committed_samples:,}"
    return f"{row.fd_committed:.1f} at {committed_samples:,}"


def share(row: Row, full: Row) -> str:
    """The row's file size in per cent of full precision's."""
    return f"{100 * row.file_bytes / full.file_bytes:.0f} %"


def findings(panel: Panel) -> list[str]:
    """One sentence for each number of bits: the size, and what rounding and GPTQ cost there."""
    titles = dict.fromkeys(row.setting.title for row in panel.rows[1:])
    return [_finding(panel, title) for title in titles]


def _finding(panel: Panel, title: str) -> str:
    rows = [row for row in panel.rows[1:] if row.setting.title == title]
    size = share(rows[0], panel.full)
    start = f"{title} ({rows[0].setting.scheme}): the file shrinks to {size}."
    return " ".join([start, *(_cost(row, panel) for row in rows)])


def _cost(row: Row, panel: Panel) -> str:
    lost = row.loss_difference
    if lost is None:
        return ""
    if abs(lost.mean) <= 2 * lost.standard_error:
        return f"With {row.setting.method} no loss can be measured."
    share = 100 * abs(lost.mean) / panel.full.loss
    word = "rises" if lost.mean > 0 else "falls"
    # Two digits, but never in powers of ten: this is for people.
    digits = f"{share:.2g}" if share < 10 else f"{share:.0f}"
    return f"With {row.setting.method} the loss {word} by {digits} %."
