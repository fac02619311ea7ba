-- Runs by id, in no order. A row is a run as in v_runs; times are microseconds since 1970, ended_us is 0 while the run lives.
-- The condition stands in every source, because a list of ids is not carried from one side of a join to the other.
-- projects Array(String): the projects to look in. run_ids Array(UUID): the runs.
SELECT r.project, toString(r.run_id) AS run, if(e.name != '', e.name, r.name) AS run_name, if(s.state = '', 'running', s.state) AS state,
       r.created_us, s.ended_us, greatest(s.last_us, s.ended_us, r.created_us) AS last_us,
       greatest(if(s.closed, s.ended_us, s.last_us) - r.created_us, 0) / 1e6 AS duration_s,
       if(e.has_group, e.group_name, r.group) AS group_name, if(e.has_job_type, e.job_type, r.job_type) AS job_type,
       r.user, r.host, e.tags, if(e.has_notes, e.notes, r.notes) AS notes, e.archived,
       r.external_id, r.parent_run, toUInt32(s.attempt + 1) AS attempts, s.exit_code, s.reason
FROM (SELECT * FROM runs FINAL WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)}) AS r
LEFT JOIN (SELECT * FROM run_states WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)}) AS s
    ON s.project = r.project AND s.run_id = r.run_id
LEFT JOIN (SELECT * FROM run_edits WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)}) AS e
    ON e.project = r.project AND e.run_id = r.run_id
WHERE e.deleted = 0
