-- How far ingest has come. A row is a topic: number of partitions, messages that are durable, and the newest of them by
-- the brokers' clock (milliseconds since 1970). Only the newest making of a topic counts. No parameters.
SELECT toString(m.topic) AS topic, count() AS partitions, sum(m.durable) AS messages, max(m.newest_ms) AS newest
FROM
(
    SELECT topic, generation, partition, max(i.end) AS durable, max(i.newest_ms) AS newest_ms
    FROM ingest_marks AS i
    GROUP BY topic, generation, partition
) AS m
WHERE (m.topic, m.generation) IN (SELECT topic, max(generation) FROM ingest_marks GROUP BY topic)
GROUP BY topic
ORDER BY topic
