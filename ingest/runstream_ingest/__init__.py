"""Events from Kafka, or from the same process, into ClickHouse: see docs/ingest.md."""

from importlib.util import find_spec

_NEEDED = ("clickhouse_connect", "numpy", "prometheus_client", "pydantic_settings", "stamina", "starlette", "structlog")

if _missing := [name for name in _NEEDED if find_spec(name) is None]:
    raise ImportError(f"ingest needs {', '.join(_missing)}: pip install 'runstream[server]'")
