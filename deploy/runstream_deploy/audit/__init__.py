"""`runstream verify`: spools, Kafka and ClickHouse compared; what is missing, different or on its way."""

from runstream_deploy.audit.report import Problem, Report, Scope
from runstream_deploy.audit.verify import verify

__all__ = ["Problem", "Report", "Scope", "verify"]
