-- Artifacts: versions by content, the names that point at them, and the runs that made or read them.
--
-- Why these sort keys
--   artifacts: a version is (project, name, digest), so logging the same files again adds nothing; the first logging of a
--     digest wins (the version column counts backwards) and gives its place among v0, v1, ...
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
