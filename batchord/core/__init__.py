"""The nouns of Batchord. Pure: no Celery, no SQL, no object store, no ML library is imported here."""
