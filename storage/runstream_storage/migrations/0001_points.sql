-- Points, and the roll-ups that keep reading them cheap.
--
-- Why these sort keys
--   points: a chart reads one metric of one run in order of step; (project, run_id, metric, rank, step) makes that one range.
--     It is also the identity of a point, so the same row written twice merges into one; `ver` comes from the event.
--   metric_summary: the runs table sorts and filters all runs by one metric, so metric stands before run_id. Its marks are
--     close together (index_granularity) because a page of runs reads a few rows out of every metric.
--   run_summary: the same rows in the order of a run's page: all metrics of a few runs lie together. A page of 100 runs
--     with 50 metrics reads a hundred small ranges, not the whole of metric_summary.
--   curve: minimum and maximum of each 2^10 and 2^12 steps, in the order of a chart.
-- Partitions are months of the UUIDv7 inside run_id: a function of the row's identity, so that no two versions of a row
-- ever lie in different partitions. Every merge is idempotent: replaying events changes no answer.
-- points is partitioned by the attempt, too, so that merges never remove what an earlier attempt logged. One step may
-- thus have a row in several partitions: FINAL must merge across them (do_not_merge_across_partitions_select_final = 0).
-- last_order is there because comparing one number takes a fraction of what comparing tuples does.
-- A curve holds finite values only; where values that are not finite lie is asked of points.
-- Ingest computes the rows of curve itself and says so at the beginning of the insert's log_comment, because the views
-- take as long as the rest of an insert; they are for points that come from elsewhere, and define what the rows are.

CREATE TABLE IF NOT EXISTS points
(
    project       LowCardinality(String),
    run_id        UUID,
    metric        LowCardinality(String),
    rank          UInt32 CODEC(ZSTD(1)),
    step          Int64 CODEC(DoubleDelta, ZSTD(1)),
    ts_us         Int64 COMMENT 'microseconds since 1970-01-01 UTC' CODEC(DoubleDelta, ZSTD(1)),
    value         Float64 CODEC(ZSTD(1)),
    ver           UInt64 COMMENT 'a function of the event, so a redelivery writes the same row' CODEC(DoubleDelta, ZSTD(1)),
    attempt       UInt16 CODEC(ZSTD(1)),
    writer        UInt64 CODEC(ZSTD(1)),
    src_partition Int32 CODEC(ZSTD(1)),
    src_offset    Int64 CODEC(DoubleDelta, ZSTD(1)),
    ts            DateTime64(6, 'UTC') ALIAS fromUnixTimestamp64Micro(ts_us, 'UTC')
)
ENGINE = ReplacingMergeTree(ver)
PARTITION BY (toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC')), attempt)
ORDER BY (project, run_id, metric, rank, step)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS metric_summary
(
    project  LowCardinality(String),
    metric   LowCardinality(String),
    run_id   UUID,
    rank     UInt32,
    writer   UInt64,
    min      SimpleAggregateFunction(min, Float64) COMMENT 'NaN while no value is a number',
    max      SimpleAggregateFunction(max, Float64) COMMENT 'NaN while no value is a number',
    first    SimpleAggregateFunction(min, Tuple(step Int64, ver UInt64, value Float64)),
    last     SimpleAggregateFunction(max, Tuple(attempt UInt16, step Int64, ver UInt64, value Float64)),
    last_order SimpleAggregateFunction(max, UInt128) DEFAULT bitOr(bitOr(bitShiftLeft(toUInt128(bitShiftRight(last.ver, 56)), 120),
                   bitShiftLeft(toUInt128(bitXor(reinterpretAsUInt64(last.step), 9223372036854775808)), 56)),
                   toUInt128(bitAnd(last.ver, 72057594037927935))) COMMENT 'the order of last as one number: attempt (255: or more), step, time',
    first_us SimpleAggregateFunction(min, Int64),
    last_us  SimpleAggregateFunction(max, Int64),
    n        SimpleAggregateFunction(max, UInt64) COMMENT 'cumulative per writer, so that max merges it',
    n_nan    SimpleAggregateFunction(max, UInt64),
    n_inf    SimpleAggregateFunction(max, UInt64),
    redo_lo  SimpleAggregateFunction(min, Int64) DEFAULT 9223372036854775807 COMMENT 'lowest step that this writer logged again or out of order',
    redo_hi  SimpleAggregateFunction(max, Int64) DEFAULT -9223372036854775808 COMMENT 'the highest one; below redo_lo: none',
    INDEX redo redo_hi TYPE minmax GRANULARITY 4
)
ENGINE = AggregatingMergeTree
ORDER BY (project, metric, run_id, rank, writer)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS run_summary
(
    project  LowCardinality(String),
    run_id   UUID,
    metric   LowCardinality(String),
    rank     UInt32,
    writer   UInt64,
    min      SimpleAggregateFunction(min, Float64),
    max      SimpleAggregateFunction(max, Float64),
    first    SimpleAggregateFunction(min, Tuple(step Int64, ver UInt64, value Float64)),
    last     SimpleAggregateFunction(max, Tuple(attempt UInt16, step Int64, ver UInt64, value Float64)),
    last_order SimpleAggregateFunction(max, UInt128) DEFAULT bitOr(bitOr(bitShiftLeft(toUInt128(bitShiftRight(last.ver, 56)), 120),
                   bitShiftLeft(toUInt128(bitXor(reinterpretAsUInt64(last.step), 9223372036854775808)), 56)),
                   toUInt128(bitAnd(last.ver, 72057594037927935))) COMMENT 'the order of last as one number: attempt (255: or more), step, time',
    first_us SimpleAggregateFunction(min, Int64),
    last_us  SimpleAggregateFunction(max, Int64),
    n        SimpleAggregateFunction(max, UInt64),
    n_nan    SimpleAggregateFunction(max, UInt64),
    n_inf    SimpleAggregateFunction(max, UInt64),
    redo_lo  SimpleAggregateFunction(min, Int64) DEFAULT 9223372036854775807 COMMENT 'lowest step that this writer logged again or out of order',
    redo_hi  SimpleAggregateFunction(max, Int64) DEFAULT -9223372036854775808 COMMENT 'the highest one; below redo_lo: none'
)
ENGINE = AggregatingMergeTree
ORDER BY (project, run_id, metric, rank, writer)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 256, min_compress_block_size = 4096;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_summary_by_run TO run_summary AS
SELECT project, run_id, metric, rank, writer, min, max, first, last, first_us, last_us, n, n_nan, n_inf,
       redo_lo, redo_hi
FROM metric_summary;

CREATE TABLE IF NOT EXISTS curve
(
    project LowCardinality(String),
    run_id  UUID,
    metric  LowCardinality(String),
    rank    UInt32 CODEC(ZSTD(1)),
    lvl     UInt8 COMMENT 'a bucket holds 2^lvl steps' CODEC(ZSTD(1)),
    bucket  Int64 COMMENT 'step >> lvl' CODEC(DoubleDelta, ZSTD(1)),
    min     SimpleAggregateFunction(min, Float64) COMMENT 'of the finite values; NaN if there is none',
    max     SimpleAggregateFunction(max, Float64) COMMENT 'of the finite values; NaN if there is none',
    t0      SimpleAggregateFunction(min, Int64),
    t1      SimpleAggregateFunction(max, Int64),
    s0      SimpleAggregateFunction(min, Int64),
    s1      SimpleAggregateFunction(max, Int64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC'))
ORDER BY (project, run_id, metric, rank, lvl, bucket)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE MATERIALIZED VIEW IF NOT EXISTS curve_10 TO curve AS
SELECT project, run_id, metric, rank, toUInt8(10) AS lvl, bitShiftRight(step, 10) AS bucket,
       min(if(isFinite(value), value, nan)) AS min, max(if(isFinite(value), value, nan)) AS max,
       min(ts_us) AS t0, max(ts_us) AS t1, min(step) AS s0, max(step) AS s1
FROM points
WHERE NOT startsWith(getSetting('log_comment'), 'runstream: curve included')
GROUP BY project, run_id, metric, rank, bucket;

CREATE MATERIALIZED VIEW IF NOT EXISTS curve_12 TO curve AS
SELECT project, run_id, metric, rank, toUInt8(12) AS lvl, bitShiftRight(step, 12) AS bucket,
       min(if(isFinite(value), value, nan)) AS min, max(if(isFinite(value), value, nan)) AS max,
       min(ts_us) AS t0, max(ts_us) AS t1, min(step) AS s0, max(step) AS s1
FROM points
WHERE NOT startsWith(getSetting('log_comment'), 'runstream: curve included')
GROUP BY project, run_id, metric, rank, bucket;
