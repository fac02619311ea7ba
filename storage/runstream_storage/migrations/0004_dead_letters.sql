-- What could not be read, as an index of the dead-letter topic.
--
-- Why this sort key: the place a message came from is its identity, so reporting it twice is one row. What an operator did
-- with it (`runstream dlq`) is a newer version of that row, which a message that is read again does not undo.

CREATE TABLE IF NOT EXISTS dead_letters
(
    topic      LowCardinality(String),
    partition  Int32,
    offset     Int64,
    reason     LowCardinality(String),
    error      String,
    bytes      UInt32,
    ts_us      Int64,
    status     LowCardinality(String) DEFAULT '' COMMENT 'replayed, dropped, or empty while nobody dealt with it',
    handled_us Int64 DEFAULT 0,
    actor      String DEFAULT '' COMMENT 'who dealt with it'
)
ENGINE = ReplacingMergeTree(handled_us)
ORDER BY (topic, partition, offset)
SETTINGS non_replicated_deduplication_window = 10000;
