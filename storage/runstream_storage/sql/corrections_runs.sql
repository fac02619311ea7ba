-- Runs whose summaries may be wrong as sums, of these and of what was forked from them. A row is a run: project, run id,
-- the runs whose points it shows (itself first), and whether it was forked and whether it was rewound or forked.
-- run_ids Array(UUID): the runs that changed; empty: all. project String: only of this one; empty: all.
WITH special AS
(
    SELECT project, run_id, arraySort(groupArray((depth, source))) AS chain
    FROM run_sources
    WHERE {project:String} = '' OR project = {project:String}
    GROUP BY project, run_id
)
SELECT project, toString(run_id) AS run, arrayMap(link -> toString(link.2), chain) AS sources, length(chain) > 1 AS forked, 1 AS moved
FROM special
WHERE empty({run_ids:Array(UUID)}) OR arrayExists(link -> link.2 IN {run_ids:Array(UUID)}, chain)
UNION ALL
SELECT project, toString(run_id) AS run, [run] AS sources, 0 AS forked, 0 AS moved
FROM
(
    SELECT project, run_id
    FROM liveness
    WHERE ({project:String} = '' OR project = {project:String})
      AND (empty({run_ids:Array(UUID)}) OR run_id IN {run_ids:Array(UUID)})
    GROUP BY project, run_id
    HAVING uniqExact(writer) > 1
    UNION DISTINCT
    SELECT project, run_id
    FROM metric_summary
    WHERE redo_hi > -9223372036854775808 AND ({project:String} = '' OR project = {project:String})
      AND (empty({run_ids:Array(UUID)}) OR run_id IN {run_ids:Array(UUID)})
)
WHERE run_id NOT IN (SELECT run_id FROM moved_runs)
