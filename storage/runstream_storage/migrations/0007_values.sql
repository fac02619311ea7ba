-- What a run remembers beside points: text, histograms, media, console lines, samples of the machine, datasets.
--
-- Why these sort keys
--   text_series, histograms, media: a page shows one name of one run in order of step, as a chart does points. The key is
--     the identity of a value, so the same row written twice merges into one. `idx` is the place in a list of media that
--     was logged at once.
--   media_contents: what became of the bytes, by run, so that it is found with the media of a run. A later word wins.
--   console: read from a place on, one writer after another; the index of times finds the place that a moment is. A line is
--     written again while its progress bar moves; the newest change wins. The index of words is over the text in lower case, so that it serves searches that heed case
--     and such that do not. Marks are close together, because a page reads a hundred lines.
--   system_points: a chart reads one metric of one device of one node in order of time. How long samples are kept is a
--     setting (`retention.py` puts it on the table).
--   datasets: few rows, asked by run; bloom filters serve the other way round, from the content to the runs.
-- Partitions are months of the UUIDv7 inside run_id, as everywhere: a function of the row's identity.

CREATE TABLE IF NOT EXISTS text_series
(
    project LowCardinality(String),
    run_id  UUID,
    name    LowCardinality(String),
    rank    UInt32 CODEC(ZSTD(1)),
    step    Int64 CODEC(DoubleDelta, ZSTD(1)),
    ts_us   Int64 CODEC(DoubleDelta, ZSTD(1)),
    text    String CODEC(ZSTD(3)),
    mime    LowCardinality(String) COMMENT 'text/plain or text/markdown',
    writer  UInt64 CODEC(ZSTD(1)),
    ver     UInt64 CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC'))
ORDER BY (project, run_id, name, rank, step)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 256;

CREATE TABLE IF NOT EXISTS histograms
(
    project LowCardinality(String),
    run_id  UUID,
    name    LowCardinality(String),
    rank    UInt32 CODEC(ZSTD(1)),
    step    Int64 CODEC(DoubleDelta, ZSTD(1)),
    ts_us   Int64 CODEC(DoubleDelta, ZSTD(1)),
    edges   Array(Float64) COMMENT 'rising and finite, one more than counts' CODEC(ZSTD(1)),
    counts  Array(Float64) COMMENT 'how much lies from an edge to the next' CODEC(ZSTD(1)),
    n_nan   UInt64 CODEC(ZSTD(1)),
    n_inf   UInt64 CODEC(ZSTD(1)),
    writer  UInt64 CODEC(ZSTD(1)),
    ver     UInt64 CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC'))
ORDER BY (project, run_id, name, rank, step)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 256;

CREATE TABLE IF NOT EXISTS media
(
    project  LowCardinality(String),
    run_id   UUID,
    name     LowCardinality(String),
    rank     UInt32 CODEC(ZSTD(1)),
    step     Int64 CODEC(DoubleDelta, ZSTD(1)),
    idx      UInt32 COMMENT 'place in a list that was logged at once' CODEC(ZSTD(1)),
    ts_us    Int64 CODEC(DoubleDelta, ZSTD(1)),
    kind     LowCardinality(String) COMMENT 'image, audio, video, table, html, figure, text, file or object3d',
    sha256   String COMMENT 'of the content, in hex: its place in the object store',
    size     UInt64 COMMENT 'bytes' CODEC(ZSTD(1)),
    mime     LowCardinality(String),
    caption  String,
    metadata String COMMENT 'JSON object: width, height, sample_rate, ...' CODEC(ZSTD(1)),
    writer   UInt64 CODEC(ZSTD(1)),
    ver      UInt64 CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC'))
ORDER BY (project, run_id, name, rank, step, idx)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS media_contents
(
    project LowCardinality(String),
    run_id  UUID,
    sha256  String COMMENT 'of the content, in hex, as in media',
    state   LowCardinality(String) COMMENT 'stored, or lost: it is not in the object store, and its file is gone',
    ts_us   Int64 CODEC(DoubleDelta, ZSTD(1)),
    ver     UInt64 CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC'))
ORDER BY (project, run_id, sha256)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS console
(
    project LowCardinality(String),
    run_id  UUID,
    rank    UInt32 CODEC(ZSTD(1)),
    writer  UInt64 CODEC(ZSTD(1)),
    line    Int64 COMMENT 'contiguous per writer, from 0' CODEC(DoubleDelta, ZSTD(1)),
    ts_us   Int64 COMMENT 'when the line began' CODEC(DoubleDelta, ZSTD(1)),
    stream  UInt8 COMMENT '1 stdout, 2 stderr' CODEC(ZSTD(1)),
    text    String CODEC(ZSTD(3)),
    styles  String COMMENT 'colours: 0:1;31 5: is bold red (SGR parameters) up to the fifth character' CODEC(ZSTD(3)),
    attempt UInt16 CODEC(ZSTD(1)),
    ver     UInt64 COMMENT 'by the time of the last change of the line' CODEC(DoubleDelta, ZSTD(1)),
    INDEX times ts_us TYPE minmax GRANULARITY 1,
    INDEX words lower(text) TYPE tokenbf_v1(8192, 3, 0) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC'))
ORDER BY (project, run_id, writer, line)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 2048;

CREATE TABLE IF NOT EXISTS system_points
(
    project LowCardinality(String),
    run_id  UUID,
    node    LowCardinality(String) COMMENT 'host name',
    metric  LowCardinality(String) COMMENT 'for example gpu.utilization_percent',
    device  LowCardinality(String) COMMENT 'empty: the host; gpu0, disk:/, net:eth0, process',
    rank    UInt32 COMMENT 'of the process that sampled' CODEC(ZSTD(1)),
    ts_us   Int64 CODEC(DoubleDelta, ZSTD(1)),
    value   Float64 CODEC(ZSTD(1)),
    ver     UInt64 CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(UUIDv7ToDateTime(run_id, 'UTC'))
ORDER BY (project, run_id, node, metric, device, rank, ts_us)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS datasets
(
    project LowCardinality(String),
    run_id  UUID,
    name    String,
    context LowCardinality(String) COMMENT 'what it was used for, for example training',
    digest  String COMMENT 'of the content: the same data has the same digest on any machine',
    kind    LowCardinality(String) COMMENT 'file, directory, array, table, huggingface or uri',
    source  String,
    rows    Int64 COMMENT '-1: unknown',
    size    Int64 COMMENT 'bytes; -1: unknown',
    schema  String COMMENT 'JSON',
    profile String COMMENT 'JSON',
    ts_us   Int64,
    ver     UInt64,
    INDEX digest digest TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (project, run_id, name, context)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;
