"""The client with which the demo fills the object store. Pipelines read through their own client."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from batchord.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def s3_client(configured: Settings) -> "S3Client":
    """A client of the store that the settings name."""
    key, secret = configured.s3_access_key_id, configured.s3_secret_access_key
    return boto3.client(
        "s3",
        endpoint_url=configured.s3_endpoint_url,
        aws_access_key_id=None if key is None else key.get_secret_value(),
        aws_secret_access_key=None if secret is None else secret.get_secret_value(),
        region_name=configured.s3_region,
        config=Config(signature_version="s3v4", request_checksum_calculation="when_required"),
    )
