-- What runs read and made. A row is a link: project and run, role (in, out), kind (artifact, dataset), the project that has it,
-- name, digest, version as it was asked for, and when (microseconds since 1970); the oldest first.
-- projects Array(String): of the runs. run_ids Array(UUID). roles Array(String): in, out. limit UInt32.
SELECT project, toString(run_id) AS run, toString(role) AS of_role, 'artifact' AS kind, artifact_project AS holder, name, digest, version,
       ts_us
FROM artifact_links FINAL
WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)} AND role IN {roles:Array(String)}
UNION ALL
SELECT project, toString(run_id), 'in', 'dataset', project, name, digest, '', ts_us
FROM datasets FINAL
WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)} AND has({roles:Array(String)}, 'in')
ORDER BY ts_us, name
LIMIT {limit:UInt32}
