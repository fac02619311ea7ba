-- Datasets that runs read, in order of the runs, context and name. A row is a dataset of a run: run, its name, dataset, context,
-- digest, kind, source, rows and bytes (-1: unknown), schema and profile as JSON, when it was logged (microseconds since 1970).
-- project String. run_ids Array(UUID): these runs; empty: all, the last first. digests Array(String): these contents; empty:
-- all. deleted UInt8: 1: of deleted runs, too. limit UInt32.
SELECT toString(d.run_id) AS run, n.run_name AS run_name, d.name AS name, toString(d.context) AS context, d.digest AS digest,
       toString(d.kind) AS kind, d.source AS source, d.rows AS rows, d.size AS size, d.schema AS schema, d.profile AS profile, d.ts_us AS ts_us
FROM
(
    SELECT *
    FROM datasets FINAL
    WHERE project = {project:String} AND (empty({run_ids:Array(UUID)}) OR run_id IN {run_ids:Array(UUID)})
      AND (empty({digests:Array(String)}) OR digest IN {digests:Array(String)})
    SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1
) AS d
LEFT ANY JOIN (SELECT run_id, run_name, deleted FROM run_names WHERE project = {project:String}) AS n ON n.run_id = d.run_id
WHERE n.deleted = 0 OR {deleted:UInt8} = 1
ORDER BY indexOf({run_ids:Array(UUID)}, d.run_id), if(empty({run_ids:Array(UUID)}), -d.ts_us, 0), context, name
LIMIT {limit:UInt32}
