-- Artifacts: versions by content, the names that point at them, and the runs that made or read them.
--
-- Why these sort keys
--   artifacts: a version is (project, name, digest), so logging the same files again adds nothing; the first logging of a
--     digest wins (the version column counts backwards) and gives its place among v0, v1, ...
--   awaited: what was logged and waits for its files, by the place that it has among the events of its writer; what became of
--     it is a later turn of the same row. A version is in artifacts only when all of its files are stored.
--   artifact_aliases: one row per alias; moving it writes a newer row.
--   artifact_links: asked from the run (what did it read and write), so the run stands first; a bloom filter
--     serves the question from the version to its runs.

CREATE TABLE IF NOT EXISTS artifacts
(
    project       LowCardinality(String),
    name          String,
    digest        String COMMENT 'sha256 in hex of the manifest',
    type          String,
    run_id        UUID,
    created_us    Int64,
    size          UInt64 COMMENT 'bytes of all files',
    files         Array(Tuple(path String, sha256 String, size UInt64, mime String, ref String))
                  COMMENT 'ref: address of a file that was not copied, else empty',
    metadata      String COMMENT 'JSON object',
    description   String,
    expires_us    Int64 COMMENT '0: never',
    score         Float64 DEFAULT nan COMMENT 'NaN: none',
    keep_best     UInt32 COMMENT 'how many versions are to be kept, by score; 0: all',
    keep_goal     LowCardinality(String) COMMENT 'minimize or maximize',
    ver           UInt64,
    keep          UInt64 DEFAULT 18446744073709551615 - ver COMMENT 'the earliest logging wins'
)
ENGINE = ReplacingMergeTree(keep)
ORDER BY (project, name, digest)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS awaited
(
    project LowCardinality(String),
    run_id  UUID COMMENT 'nil when it was logged outside a run',
    writer  UInt64,
    ts_us   Int64 COMMENT 'when it was logged, as the event that is awaited has it' CODEC(DoubleDelta, ZSTD(1)),
    kind    LowCardinality(String) COMMENT 'of that event: ArtifactLogged or ModelEdited',
    name    String COMMENT 'of the artifact or the model',
    type    LowCardinality(String) COMMENT 'type of the artifact, or what is done to the model',
    files   UInt64 COMMENT 'that are brought into the object store',
    size    UInt64 COMMENT 'bytes of all of them',
    state   LowCardinality(String) COMMENT 'pending, lost or arrived',
    reason  String COMMENT 'why it is lost',
    turn    UInt8 COMMENT 'order of the states: 0, 1 and 2'
)
ENGINE = ReplacingMergeTree(turn)
ORDER BY (project, run_id, writer, ts_us)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS artifact_aliases
(
    project       LowCardinality(String),
    name          String,
    alias         String,
    digest        String,
    actor         String,
    ver           UInt64,
    is_deleted    UInt8
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (project, name, alias)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS artifact_links
(
    project       LowCardinality(String),
    run_id        UUID,
    name          String,
    role          LowCardinality(String) COMMENT 'out or in',
    digest        String,
    version       String COMMENT 'as it was asked for: v3, latest, an alias or a digest',
    ts_us         Int64,
    ver           UInt64,
    artifact_project LowCardinality(String) DEFAULT project COMMENT 'project that has the artifact: of one that was made, that of the run',
    INDEX digest digest TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (project, run_id, role, name, digest, artifact_project)
SETTINGS non_replicated_deduplication_window = 10000;
