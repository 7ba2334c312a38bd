"""What is in a photo? Images from S3, whose locations are in a table, and a transformers model from S3, too."""

from batchord import Images, Pipeline, SqlSource, TransformersImage, every

photos = Pipeline(
    "photos",
    description="Photos on S3: what is in them? (transformers)",
    schedule=every(seconds=10),
    source=SqlSource("SELECT id, location, created_at FROM demo_photos", key="id", arrival="created_at"),
    model=TransformersImage(
        "s3://batchord-models/mobilenet-v2/1/",
        images=Images(column="location", allow=["s3://batchord-photos/"]),
    ),
)
