-- Processes that wrote to a run, the newest attempt and the lowest rank first; times are microseconds since 1970.
-- project String. run_id UUID.
SELECT writer, attempt, rank, toUnixTimestamp64Micro(started_at) AS started_us, toUnixTimestamp64Micro(last_at) AS last_us,
       state, exit_code, reason, rows, user, host, pid, command, cwd, w.python AS python, platform, client_version, git, environment,
       machine, packages, job, determinism, sources, container
FROM v_writers AS w
WHERE project = {project:String} AND run_id = {run_id:UUID}
ORDER BY attempt DESC, rank, started_us, writer
