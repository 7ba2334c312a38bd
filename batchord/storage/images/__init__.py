"""Images from S3-compatible stores and local folders, as RGB pictures."""

from batchord.storage.images.reader import ImageReader

__all__ = ["ImageReader"]
