-- What runs read and made. A row is a link: run, role (in, out), kind (artifact, dataset), name, digest, version as it was
-- asked for, and when (microseconds since 1970); the oldest first.
-- project String. run_ids Array(UUID). roles Array(String): in, out. limit UInt32.
SELECT toString(run_id) AS run, toString(role) AS of_role, 'artifact' AS kind, name, digest, version, ts_us
FROM artifact_links FINAL
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND role IN {roles:Array(String)}
UNION ALL
SELECT toString(run_id), 'in', 'dataset', name, digest, '', ts_us
FROM datasets FINAL
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND has({roles:Array(String)}, 'in')
ORDER BY ts_us, name
LIMIT {limit:UInt32}
