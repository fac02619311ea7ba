-- What people and programs do with artifacts and models, and who did what.
--
-- Why these sort keys
--   artifact_attrs: one row per attribute of a version, so that two people who edit different attributes do not undo each
--     other, as in run_attrs.
--   model_events: the history of a model is read whole and in order of time; what a model is now is computed from it.
--   audit: a project's history, by time. Bloom filters serve the history of one subject or of one person.

CREATE TABLE IF NOT EXISTS artifact_attrs
(
    project       LowCardinality(String),
    name          String,
    digest        String COMMENT 'of the version',
    key           String COMMENT 'tag:<tag>, metadata, description, expires_us or deleted',
    value         String,
    actor         String,
    ver           UInt64,
    is_deleted    UInt8
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (project, name, digest, key)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS model_events
(
    project       LowCardinality(String),
    model         String,
    ts_us         Int64,
    writer        UInt64,
    action        LowCardinality(String) COMMENT 'register, alias, unalias, stage, note, approve, reject, describe, tag, untag, delete or restore',
    artifact      String COMMENT 'name of the artifact whose version is meant; empty: the model itself',
    digest        String COMMENT 'of that version; empty: the model itself',
    value         String,
    note          String,
    actor         String,
    run_id        UUID COMMENT 'nil when it was done outside a run',
    ver           UInt64,
    artifact_project LowCardinality(String) DEFAULT project COMMENT 'project that has the artifact'
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (project, model, ts_us, writer, action)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;

CREATE TABLE IF NOT EXISTS audit
(
    project       LowCardinality(String),
    ts_us         Int64 CODEC(DoubleDelta, ZSTD(1)),
    writer        UInt64,
    seq           Int64,
    actor         String,
    run_id        UUID,
    kind          LowCardinality(String) COMMENT 'kind of the event',
    subject       String COMMENT 'the run, artifact or model',
    action        String,
    value         String,
    INDEX actor actor TYPE bloom_filter GRANULARITY 1,
    INDEX subject subject TYPE bloom_filter GRANULARITY 1,
    INDEX run_id run_id TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (project, ts_us, writer, seq, subject, action)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;
