-- Runs, what started them, what people edit, and what they were given.
--
-- Why these sort keys
--   runs, writers, liveness: read by project, or by run.
--   run_attrs: one row per attribute, so that two people who edit different attributes of a run do not undo each other.
--   params, summary_values: the runs table filters and sorts all runs by one name, so name stands before run_id.
-- Marks are close together (index_granularity), because pages read a few runs out of many.
-- `runs` keeps the earliest start of a run: its version column counts backwards.

CREATE TABLE IF NOT EXISTS runs
(
    project       LowCardinality(String),
    run_id        UUID,
    external_id   String COMMENT 'the id the user chose, or empty',
    created_us    Int64,
    name          String,
    group         String,
    job_type      String,
    notes         String,
    parent_run    String,
    user          String,
    host          String,
    forked_from   String COMMENT 'id of the run whose points this one begins with, or empty',
    fork_step     Int64 COMMENT 'the last step taken over from it',
    ver           UInt64,
    keep          UInt64 DEFAULT 18446744073709551615 - ver COMMENT 'the earliest start wins'
)
ENGINE = ReplacingMergeTree(keep)
PARTITION BY toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC'))
ORDER BY (project, run_id)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS writers
(
    project        LowCardinality(String),
    run_id         UUID,
    writer         UInt64,
    attempt        UInt16,
    rank           UInt32,
    started_us     Int64,
    user           String,
    host           String,
    pid            Int64,
    command        Array(String),
    cwd            String,
    python         String,
    platform       String,
    client_version String,
    git            Map(String, String),
    environment    Map(String, String),
    machine        Map(String, String),
    packages       Map(String, String),
    job            Map(String, String) COMMENT 'identity by Slurm, Kubernetes, torchrun or MPI',
    determinism    Map(String, String) COMMENT 'seeds and flags that were found',
    sources        Map(String, String) COMMENT 'package to its editable path or VCS address',
    container      Map(String, String),
    ver            UInt64
)
ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC'))
ORDER BY (project, run_id, writer)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS run_attrs
(
    project       LowCardinality(String),
    run_id        UUID,
    key           String COMMENT 'name, notes, group, job_type, archived, deleted, starred or tag:<tag>',
    value         String,
    actor         String,
    ver           UInt64,
    is_deleted    UInt8
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (project, run_id, key)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS liveness
(
    project    LowCardinality(String),
    run_id     UUID,
    writer     UInt64,
    attempt    SimpleAggregateFunction(max, UInt16),
    last_us    SimpleAggregateFunction(max, Int64) COMMENT 'last sign of life by the clock of its host',
    arrived_us SimpleAggregateFunction(max, Int64) DEFAULT last_us COMMENT 'the same by the clock of the brokers',
    metric_seq SimpleAggregateFunction(max, Int64),
    terminal   SimpleAggregateFunction(max, Tuple(ver UInt64, state String, exit_code Int32, reason String, metric_seq Int64))
               COMMENT 'ver 0 while the writer has not ended'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC'))
ORDER BY (project, run_id, writer)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS params
(
    project       LowCardinality(String),
    name          LowCardinality(String),
    run_id        UUID,
    kind          LowCardinality(String) COMMENT 'null, bool, int, float, string, datetime or json',
    text          String,
    number        Float64 COMMENT 'NaN when the value is none',
    ver           UInt64,
    is_deleted    UInt8
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (project, name, run_id)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS summary_values
(
    project       LowCardinality(String),
    name          LowCardinality(String),
    run_id        UUID,
    kind          LowCardinality(String) COMMENT 'null, bool, int, float, string, datetime or json',
    text          String,
    number        Float64 COMMENT 'NaN when the value is none',
    ver           UInt64,
    is_deleted    UInt8
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (project, name, run_id)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS metric_defs
(
    project       LowCardinality(String),
    run_id        UUID,
    pattern       String,
    x_axis        String,
    summary       Array(String),
    goal          String,
    hidden        UInt8,
    unit          String,
    ver           UInt64
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (project, run_id, pattern)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;
