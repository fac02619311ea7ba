-- Runs by id, in no order. A row is a run as it was started; created_us is microseconds since 1970; what has
-- the same ver is the same row.
-- What people changed is in run_edits.sql, how it is doing in run_signs.sql: short questions at once are answered in a
-- fraction of the time that planning their join takes.
-- projects Array(String): the projects to look in. run_ids Array(UUID): the runs.
SELECT toString(run_id) AS run, project, created_us, name, group, job_type, user, host, notes, external_id, parent_run, ver
FROM runs FINAL
WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)}
