-- Runs by id, in no order. A row is a run; times are microseconds since 1970, ended_us is 0 while the run lives.
-- projects Array(String): the projects to look in. run_ids Array(UUID): the runs.
SELECT project, toString(run_id) AS run, run_name, state,
       toUnixTimestamp64Micro(created_at) AS created_us,
       ifNull(toUnixTimestamp64Micro(ended_at), 0) AS ended_us,
       toUnixTimestamp64Micro(last_at) AS last_us,
       duration_s, group_name, job_type, user, host, tags, notes, archived,
       external_id, parent_run, attempts, exit_code, reason
FROM v_runs
WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)}
