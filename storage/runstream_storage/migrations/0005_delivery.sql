-- What is durable, and what corrects the rollups.
--
-- Why these sort keys
--   coverage: the gate asks for all stretches of a few writers; a stretch only ever grows at its end, so its start is its
--     identity and max() merges it.
--   ingest_marks: one row a partition of a topic; `generation` tells a topic that was made anew from the one before.
--   rewinds: asked by run. A rewind is the start of an attempt of one rank, which is its identity.
--   moved_runs: the runs that were forked or rewound. Views and queries ask it for each run, so it is a table of its own,
--     tiny beside runs and rewinds, which fill it.
--   ancestry: whose points such runs show, all ancestors, because a recursive view takes longer to plan than most questions
--     to answer. Views of runs and rewinds fill it; where a parent's start arrives after its child's, or with it,
--     corrections.refresh adds what is missing. upto is the last step shown of it.
--   summary_exact: read beside metric_summary, so in its order; bloom filters serve a run's page.

CREATE TABLE IF NOT EXISTS coverage
(
    project LowCardinality(String),
    run_id  UUID,
    writer  UInt64,
    stream  LowCardinality(String) COMMENT 'metrics or control',
    start   Int64 COMMENT 'first sequence number of a stretch that is durable',
    end     SimpleAggregateFunction(max, Int64) COMMENT 'the number behind its last one',
    attempt SimpleAggregateFunction(max, UInt16),
    rank    SimpleAggregateFunction(max, UInt32)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC'))
ORDER BY (project, run_id, writer, stream, start)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS ingest_marks
(
    topic      LowCardinality(String),
    generation UInt32,
    partition  Int32,
    end        SimpleAggregateFunction(max, Int64) COMMENT 'the offset behind the last durable message',
    newest_ms  SimpleAggregateFunction(max, Int64) COMMENT 'its time by the brokers, milliseconds since 1970'
)
ENGINE = AggregatingMergeTree
ORDER BY (topic, generation, partition)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS rewinds
(
    project LowCardinality(String),
    run_id  UUID,
    rank    UInt32,
    attempt UInt16 COMMENT 'the attempt that began with the rewind',
    step    Int64 COMMENT 'the last step kept of the attempts before it',
    ts_us   Int64,
    actor   String,
    ver     UInt64
)
ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC'))
ORDER BY (project, run_id, rank, attempt)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS moved_runs
(
    project LowCardinality(String),
    run_id  UUID
)
ENGINE = ReplacingMergeTree
ORDER BY (project, run_id)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE MATERIALIZED VIEW IF NOT EXISTS moved_by_fork TO moved_runs AS
SELECT project, run_id FROM runs WHERE forked_from != '';

CREATE MATERIALIZED VIEW IF NOT EXISTS moved_by_rewind TO moved_runs AS
SELECT project, run_id FROM rewinds;

CREATE TABLE IF NOT EXISTS ancestry
(
    project LowCardinality(String),
    run_id  UUID,
    depth   UInt16 COMMENT '0: the run itself, 1: its parent, and so on, 64 at most',
    source  UUID COMMENT 'the run whose points it shows',
    upto    Int64 COMMENT 'the last step that it shows of them',
    ver     UInt64 COMMENT '0 as the runs said; more where refresh computed it anew'
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (project, run_id, depth)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE MATERIALIZED VIEW IF NOT EXISTS ancestry_by_rewind TO ancestry AS
SELECT project, run_id, toUInt16(0) AS depth, run_id AS source, toInt64(9223372036854775807) AS upto, toUInt64(0) AS ver
FROM rewinds;

CREATE MATERIALIZED VIEW IF NOT EXISTS ancestry_by_fork TO ancestry AS
SELECT project, run_id, toUInt16(arrayJoin([0, 1]) AS place) AS depth,
       if(place = 0, run_id, toUUIDOrZero(forked_from)) AS source,
       if(place = 0, toInt64(9223372036854775807), fork_step) AS upto, toUInt64(0) AS ver
FROM runs
WHERE forked_from != '';

CREATE MATERIALIZED VIEW IF NOT EXISTS ancestry_by_parent TO ancestry AS
SELECT r.project AS project, r.run_id AS run_id, toUInt16(a.depth + 1) AS depth, a.source AS source,
       least(r.fork_step, a.upto) AS upto, toUInt64(0) AS ver
FROM runs AS r
INNER JOIN (SELECT * FROM ancestry FINAL WHERE depth BETWEEN 1 AND 63) AS a
    ON a.project = r.project AND a.run_id = toUUIDOrZero(r.forked_from)
WHERE r.forked_from != '';

CREATE TABLE IF NOT EXISTS summary_exact
(
    project  LowCardinality(String),
    metric   LowCardinality(String),
    run_id   UUID,
    min      Float64 COMMENT 'NaN while no value is a number',
    max      Float64 COMMENT 'NaN while no value is a number',
    first    Tuple(step Int64, ver UInt64, value Float64),
    last     Tuple(attempt UInt16, step Int64, ver UInt64, value Float64),
    first_us Int64,
    last_us  Int64,
    n        UInt64 COMMENT 'visible points; 0: none is left, the pair is hidden',
    n_nan    UInt64,
    n_inf    UInt64,
    ranks    UInt32 COMMENT 'how many ranks have visible points',
    ver      UInt64 COMMENT 'how much was durable when it was computed: only grows, so the newest computation wins',
    INDEX run_id run_id TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (project, metric, run_id)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;
