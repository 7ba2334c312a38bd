"""JPEGs through MobileNetV2: Batchord reads them from an S3 server, the bare loops from a local folder."""

import io
import random
from concurrent.futures import ThreadPoolExecutor

from batchord.settings import settings
from benchmarks.measure import BARE, Measurement, Row
from benchmarks.peers import Peers
from benchmarks.stack import Stack
from benchmarks.workloads.predictions import fill, in_turn, output_table, require_equal
from demo import pictures
from demo.models import build_models
from demo.photos import photo, photo_name
from demo.store import s3_client

NAME = "images"
RECORDS = 2_000
#: A picture may change its class when it is decoded at a smaller scale. At least this share must keep its class.
_SAME, _NEAR = 0.97, 0.2
#: The least pixels of the shorter side after decoding. The model itself scales to 256.
_LEAST = 512
_BUCKET = "bench-photos"
#: Ranges of the longer side in pixels, and their shares: pictures of web pages, of messengers, of phones' cameras.
_SIDES = (((600, 1080), 0.4), ((1280, 2048), 0.4), ((3000, 4032), 0.2))
_QUALITY = 85
_PIPELINE = """
from batchord import Images, Pipeline, SqlSource, TransformersImage

photos = Pipeline(
    "photos",
    source=SqlSource("SELECT id, location, created_at FROM photos", key="id", arrival="created_at"),
    model=TransformersImage({model!r}, images=Images(column="location", allow=["s3://bench-photos/"])),
)
"""


def measure(stack: Stack, *, records: int, times: int, peers: Peers | None) -> list[Row]:
    """The rows of the table. Raises RuntimeError if two systems disagree."""
    del peers  # each of them needs more than a page of code to read S3 and to predict
    (built,) = build_models(stack.models, print, [pictures])
    folder = stack.home / "photos"
    folder.mkdir()
    settings.cache_clear()
    s3 = s3_client(settings())
    s3.create_bucket(Bucket=_BUCKET)

    def store(number: int) -> str:
        data, name = _enlarged(photo(number), random.Random(number)), photo_name(number)  # noqa: S311 (no secret)
        (folder / name).write_bytes(data)
        s3.put_object(Bucket=_BUCKET, Key=name, Body=data)
        return f"s3://{_BUCKET}/{name}"

    with ThreadPoolExecutor(8) as pool:
        locations = list(pool.map(store, range(records)))
    fill(stack, "photos", "location", locations)
    stack.declare("photos", _PIPELINE.format(model=built.location))
    pids = stack.start()
    stack.warm("photos", workers=stack.processes)

    def loop(output: str, least: int) -> Measurement:
        output_table(stack, output)
        return stack.bare("bare_images", model=built.location, folder=str(folder), output=output, least=least)

    systems = {
        BARE: lambda: loop("bare", 0),
        "bare loop that decodes JPEGs at a reduced scale": lambda: loop("reduced", _LEAST),
        "Batchord": lambda: stack.batchord("photos", pids),
    }
    results = in_turn(NAME, records, systems, times=times)
    require_equal(stack, records=records, outputs=["reduced"], share=_SAME, near=_NEAR)
    return results


def _enlarged(data: bytes, chance: random.Random) -> bytes:
    from PIL import Image

    ranges, shares = zip(*_SIDES, strict=True)
    picture = Image.open(io.BytesIO(data))
    scale = chance.randint(*chance.choices(ranges, shares)[0]) / max(picture.size)
    file = io.BytesIO()
    size = (round(picture.width * scale), round(picture.height * scale))
    picture.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
