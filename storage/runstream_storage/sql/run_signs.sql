-- Signs of life of runs, by id, in no order. A row is a writer: its run, attempt, last sign of life by its host's
-- clock and by that of the brokers (microseconds since 1970), and how it ended: version (0 while it has not), state, exit code and reason.
-- projects Array(String): the projects to look in. run_ids Array(UUID): the runs.
SELECT toString(run_id) AS run, max(s.attempt) AS of_attempt, max(s.last_us) AS seen_us, max(s.arrived_us) AS heard_us,
       (max(s.terminal) AS end).1, end.2, end.3, end.4
FROM liveness AS s
WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)}
GROUP BY run_id, writer
