-- Which runs, of whatever project, read or made artifacts and datasets of some projects; what was put from outside a run was made
-- by none. Rows as in lineage_of_runs.sql.
-- projects Array(String): those that have the artifacts and datasets. digests Array(String): of artifacts. datasets Array(String):
-- digests of datasets. roles Array(String): in, out. limit UInt32.
SELECT project, toString(run_id) AS run, toString(role) AS of_role, 'artifact' AS kind, artifact_project AS holder, name, digest, version,
       ts_us
FROM artifact_links FINAL
WHERE artifact_project IN {projects:Array(String)} AND digest IN {digests:Array(String)} AND role IN {roles:Array(String)}
  AND run_id != toUUID('00000000-0000-0000-0000-000000000000')
UNION ALL
SELECT project, toString(run_id), 'in', 'dataset', project, name, digest, '', ts_us
FROM datasets FINAL
WHERE project IN {projects:Array(String)} AND digest IN {datasets:Array(String)} AND has({roles:Array(String)}, 'in')
ORDER BY ts_us, name
LIMIT {limit:UInt32}
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1
