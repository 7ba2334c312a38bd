"""Drafts whose model reads pictures."""

import io

from batchord.core.errors import ConfigurationError
from batchord.drafts.pipeline_file import Argument
from batchord.drafts.python_text import called, literal

_FOLDER_SOURCE = '''@dataclass(frozen=True)
class Pictures(Source):
    """Each picture in a folder is a record: the next run predicts a new file."""

    folder: str
    _: KW_ONLY
    key: str = "name"

    def open(self, context: SourceContext) -> ListedReader:
        return ListedReader(self._records, key=self.key)

    def _records(self) -> Iterator[Record]:
        for file in sorted(Path(self.folder).iterdir()):
            if file.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}:
                yield Record(file.name, {"location": file.as_uri()})'''
_BRIGHTNESS = '''def brightness(frame: pd.DataFrame) -> pd.Series:
    """How bright each picture is, from 0 to 255. Put your model here."""
    grey = frame[LOCATION].map(lambda picture: picture.convert("L"))
    return grey.map(lambda picture: ImageStat.Stat(picture).mean[0])'''
#: The sample's pictures: their names and colours.
_SAMPLES = {"dark.png": (30, 30, 60), "bright.png": (240, 230, 140), "green.png": (60, 160, 80)}


def folder_source(folder: str | None) -> Argument:
    """A source over a folder of pictures. None: the folder that has the name of the file and lies beside it."""
    if folder is None:
        constant = 'FOLDER = Path(__file__).resolve().with_suffix("")  # beside this file'
    else:
        constant = called("FOLDER = Path", literal(folder))
    return Argument(
        lines="    source=Pictures(str(FOLDER)),",
        names=frozenset({"Source"}),
        imports=frozenset(
            {
                "from collections.abc import Iterator",
                "from dataclasses import KW_ONLY, dataclass",
                "from pathlib import Path",
                "from batchord.core.declared.sources import SourceContext",
                "from batchord.sources.listed import ListedReader, Record",
            }
        ),
        constants=(constant,),
        definitions=(_FOLDER_SOURCE,),
    )


def image_model(location: str | None, *, column: str, allow: str, constants: tuple[str, ...] = ()) -> Argument:
    """A transformers model at ``location`` for the pictures that ``column`` names; None: a function.

    ``column`` is a Python expression, which may name one of the ``constants``.

    ``allow`` is the Python expression of the prefix that locations must have.
    """
    kind = "FunctionModel" if location is None else "TransformersImage"
    first = "brightness" if location is None else literal(location)
    images = [
        "        images=Images(",
        f"            column={column},",
        f"            allow=[{allow}],  # any other location is rejected",
        "        ),",
    ]
    about = (
        "    # The function gets PIL images in place of the locations."
        if location is None
        else "    # A folder with config.json, preprocessor_config.json and *.safetensors, or s3://…"
    )
    return Argument(
        lines="\n".join([about, f"    model={kind}(", f"        {first},", *images, "    ),"]),
        names=frozenset({kind, "Images"}),
        imports=frozenset({"import pandas as pd", "from PIL import ImageStat"} if location is None else ()),
        constants=constants,
        definitions=(_BRIGHTNESS.replace("LOCATION", column),) if location is None else (),
    )


def sample_pictures() -> dict[str, bytes]:
    """Small pictures by name. Raises ConfigurationError if Pillow is not installed."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "The pictures of the draft need Pillow: run pip install 'batchord[images]', or give --pictures FOLDER."
        ) from error
    pictures = {}
    for name, colour in _SAMPLES.items():
        content = io.BytesIO()
        Image.new("RGB", (64, 64), colour).save(content, "PNG")
        pictures[name] = content.getvalue()
    return pictures
