"""The folder of a study."""

from pathlib import Path

from bitscape.evaluation.storage import write_whole
from bitscape.laws import Study


def write_study(study: Study, out: Path) -> list[Path]:
    """Write law.json into `out`, replacing an older one, and return the paths."""
    law = out / "law.json"
    write_whole(law, (study.model_dump_json(indent=1) + "\n").encode())
    return [law]
