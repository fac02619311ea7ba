"""The engine's configuration files: one user, two roles, limits for readers that a query cannot lift."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

GIB = 1 << 30
HIDDEN_TABLES = (
    "processes",
    "user_processes",
    "stack_trace",
    "query_cache",
    "asynchronous_inserts",
    "session_query_ids",
)
"""System tables that show other people's statements or this process."""
HOST_SETTINGS = (
    "allow_experimental_eval_table_function",
    "format_schema",
    "format_schema_source",
    "format_schema_message_name",
    "format_template_resultset",
    "format_template_resultset_format",
    "format_template_row",
    "format_template_row_format",
    "format_avro_schema_registry_url",
    "output_format_schema",
    "allow_introspection_functions",
)
"""Settings by which a SELECT would read a file, leave the machine or look into the process."""


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader may use. A query can lower each value, or raise it up to the `most_…` of the same name.

    `total_memory_bytes` holds for all statements together, readers' and writers', whatever each may use.
    """

    memory_bytes: int = max(min(_memory_bytes() // 4, 8 * GIB), GIB // 2)
    most_memory_bytes: int = max(_memory_bytes() // 4, 4 * GIB)
    execution_s: int = 60
    most_execution_s: int = 600
    result_rows: int = 10_000_000
    most_result_rows: int = 100_000_000
    result_bytes: int = GIB
    most_result_bytes: int = 4 * GIB
    threads: int = max(os.cpu_count() or 1, 1)
    total_memory_bytes: int = max(_memory_bytes() // 2, GIB)
    readers: int = 8
    """Queries of readers that run at a time; more of them wait."""
    writers: int = 8

    def for_reader(self) -> dict[str, str]:
        return {
            "max_memory_usage": str(self.memory_bytes),
            "max_execution_time": str(self.execution_s),
            "max_result_rows": str(self.result_rows),
            "max_result_bytes": str(self.result_bytes),
            "result_overflow_mode": "throw",
            "max_threads": str(self.threads),
        }

    def constraints(self) -> dict[str, tuple[int, int]]:
        return {
            "max_memory_usage": (1, self.most_memory_bytes),
            "max_execution_time": (1, self.most_execution_s),
            "max_result_rows": (1, self.most_result_rows),
            "max_result_bytes": (1, self.most_result_bytes),
            "max_threads": (1, self.threads),
        }


def write(directory: Path, limits: Limits) -> Path:
    """Writes both files into `directory` and returns the path of the main one."""
    users = directory / "users.xml"
    users.write_text(_users(limits), encoding="utf-8")
    main = directory / "engine.xml"
    main.write_text(_main(users, limits), encoding="utf-8")
    return main


def _main(users: Path, limits: Limits) -> str:
    return f"""<clickhouse>
  <users_config>{escape(str(users))}</users_config>
  <max_server_memory_usage>{limits.total_memory_bytes}</max_server_memory_usage>
  <mark_cache_size>134217728</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <index_mark_cache_size>33554432</index_mark_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <merge_tree>
    <number_of_free_entries_in_pool_to_execute_mutation>2</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>2</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
  </merge_tree>
</clickhouse>
"""


def _users(limits: Limits) -> str:
    ranges = "\n".join(
        f"      <{name}><min>{low}</min><max>{high}</max></{name}>"
        for name, (low, high) in limits.constraints().items()
    )
    fixed = "\n".join(f"      <{name}><const/></{name}>" for name in HOST_SETTINGS)
    # The engine lets everyone read system tables whatever the grants say, but it does apply row policies to them.
    hidden = "\n".join(
        f"      <{table}><filter>has(currentRoles(), 'owner')</filter></{table}>" for table in HIDDEN_TABLES
    )
    return f"""<clickhouse>
  <profiles>
    <default/>
    <reader><constraints>
{ranges}
{fixed}
    </constraints></reader>
  </profiles>
  <quotas><default/></quotas>
  <roles>
    <owner><grants><query>GRANT ALL ON *.*</query></grants></owner>
    <reader><grants>
      <query>GRANT SELECT ON *.*</query>
      <query>GRANT SHOW ON *.*</query>
    </grants></reader>
  </roles>
  <users><default>
    <password></password>
    <networks><ip>::1</ip><ip>127.0.0.1</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
    <grants><query>GRANT owner</query><query>GRANT reader</query></grants>
    <databases><system>
{hidden}
    </system></databases>
  </default></users>
</clickhouse>
"""
