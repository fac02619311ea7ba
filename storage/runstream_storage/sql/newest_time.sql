-- Up to when what runs do has been ingested, in microseconds since 1970, as in the view run_states. A single row.
-- No parameters.
WITH (SELECT max(newest_ms) * 1000 FROM ingest_marks WHERE endsWith(topic, '.control')) AS marked_us,
     (SELECT max(last_us) FROM liveness) AS heard_us
SELECT least(if(marked_us > 0, marked_us, heard_us), toUnixTimestamp64Micro(now64(6))) AS newest_us
