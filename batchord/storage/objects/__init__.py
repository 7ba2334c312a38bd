"""Stored objects: S3-compatible stores and local files, with limits and with Batchord's errors."""

from batchord.storage.objects.failures import ObjectChanged
from batchord.storage.objects.files import read_file
from batchord.storage.objects.s3 import Listed, Objects, parse_s3

__all__ = ["Listed", "ObjectChanged", "Objects", "parse_s3", "read_file"]
