-- Projects, the busiest lately first. A row is a project that has runs which are not deleted: its name, number of runs,
-- how many of them are alive (running or stale), and its last sign of life in microseconds since 1970.
-- No parameters.
SELECT project, count() AS runs, countIf(state IN ('running', 'stale')) AS running,
       max(toUnixTimestamp64Micro(last_at)) AS last_us
FROM v_runs
GROUP BY project
ORDER BY last_us DESC, project
