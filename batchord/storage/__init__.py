"""Objects in S3 and in files, images, and the logs that are kept there."""
