-- The newest messages that could not be read and that nobody has dealt with. A row is a message: where it lies, why, how
-- large it is in bytes, and when it was read in microseconds since 1970.
-- limit UInt32.
SELECT toString(topic) AS topic, partition, offset, toString(reason) AS reason, error, bytes, ts_us
FROM dead_letters FINAL
WHERE status = ''
ORDER BY ts_us DESC, topic, partition, offset DESC
LIMIT {limit:UInt32}
