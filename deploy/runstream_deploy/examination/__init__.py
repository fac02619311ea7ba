"""What `runstream doctor` looks at: the parts that are configured, one check each."""

from runstream_deploy.examination.brokers import brokers
from runstream_deploy.examination.database import database
from runstream_deploy.examination.finding import Check, Finding, examined
from runstream_deploy.examination.host import data_directory, spools, versions
from runstream_deploy.examination.objects import object_store

__all__ = ["CHECKS", "Check", "Finding", "examined"]

CHECKS: tuple[Check, ...] = (versions, data_directory, spools, brokers, database, object_store)
