-- The brokers' time of the newest control message that was ingested, and the server's time, in microseconds since 1970; the
-- first is 0 where there are no brokers. A single row.
-- No parameters.
SELECT max(newest_ms) * 1000 AS marked_us, toUnixTimestamp64Micro(now64(6)) AS now_us
FROM ingest_marks
WHERE endsWith(topic, '.control')
