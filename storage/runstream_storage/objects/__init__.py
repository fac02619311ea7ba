"""Object stores: a directory, or S3 and what speaks it. The interface is `runstream.objects.ObjectStore`."""

from runstream.objects import ObjectStat, ObjectStore, object_key, open_store
from runstream_storage.objects.directory import DirectoryStore
from runstream_storage.objects.s3 import S3Store

__all__ = ["DirectoryStore", "ObjectStat", "ObjectStore", "S3Store", "object_key", "open_store"]
