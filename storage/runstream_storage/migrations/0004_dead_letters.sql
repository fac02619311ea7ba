-- What could not be read, as an index of the dead-letter topic.
--
-- Why this sort key: the place a message came from is its identity, so reporting it twice is one row.

CREATE TABLE IF NOT EXISTS dead_letters
(
    topic     LowCardinality(String),
    partition Int32,
    offset    Int64,
    reason    LowCardinality(String),
    error     String,
    bytes     UInt32,
    ts_us     Int64
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset)
SETTINGS non_replicated_deduplication_window = 10000;
