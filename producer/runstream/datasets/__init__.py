"""Datasets as a run knows them: a digest of the content that is the same on any machine, a schema and a simple profile.

docs/capture.md has the canonical form of each kind.
"""

from runstream.datasets.dataset import Dataset, described

__all__ = ["Dataset", "described"]
