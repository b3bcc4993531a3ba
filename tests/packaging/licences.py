"""What LICENSE-THIRD-PARTY says the crates are used under."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def of_the_crates():
    """The licences in its table, without those of the libraries, which have no version there."""
    table = (ROOT / "LICENSE-THIRD-PARTY").read_text().split("\n---")[0]
    crates = dict(re.findall(r"^([\w-]+ \d[\w.+-]*) {2,}(\S.*)$", table, re.MULTILINE))
    assert any(name.startswith("ring ") for name in crates), table
    return {word for licence in crates.values() for word in licence.split(" AND ")}
