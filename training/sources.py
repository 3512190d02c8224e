"""The photos of a data folder by name and licence, as model cards list them."""

from __future__ import annotations

import itertools
from pathlib import Path

from training.data import SUFFIXES

Source = dict[str, str]
"""{name, license}."""

KNOWN = {
    "bsds500": ("BSDS500, less the images reserved for evaluation", "none stated; research and education by custom"),
    "cid22": ("CID22", "CC BY-SA 4.0"),
    "clic2025": ("CLIC 2025", "Unsplash licence"),
    "debian-wallpapers": ("Debian wallpapers", "CC BY, CC BY-SA, CC0; GPL-2+"),
    "elementary-wallpapers": ("elementary wallpapers", "open, per image"),
    "urban100": ("Urban100", "none stated"),
    "LSUI-UShape": (
        "LSUI, 61 pairs of the U-shape Transformer's repository",
        "MIT on the repository; some frames carry a stock-footage mark",
    ),
    "EUVP-ShallowUWnet9": ("EUVP, 9 pairs of Shallow-UWnet's repository", "MIT on the repository"),
}


def sources_of(data: Path, task: str) -> list[Source]:
    """The sets in train-clean/ and, for underwater, in train-pairs/underwater/; a folder that is not KNOWN by its own name."""
    found = []
    for root in (data / "train-clean", *([data / "train-pairs" / "underwater"] if task == "underwater" else [])):
        for entry in sorted(root.iterdir()) if root.is_dir() else ():
            if entry.is_dir():
                name, license_ = KNOWN.get(entry.name, (entry.name, "not recorded"))
                found.append({"name": name, "license": license_})
            elif entry.suffix.lower() in SUFFIXES:
                found.append({"name": f"pictures in {root.name}", "license": "not recorded"})
    return united(found)


def united(*lists: list[Source]) -> list[Source]:
    """Each set once, in order of first mention; `licence`, as it was spelled before, is read as `license`."""
    seen: dict[str, Source] = {}
    for source in itertools.chain(*lists):
        seen.setdefault(source["name"], {"name": source["name"], "license": source.get("license") or source["licence"]})
    return list(seen.values())
