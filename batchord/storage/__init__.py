"""Objects in S3 and in files: images, and logs of attempts."""
