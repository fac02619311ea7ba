-- Runs that have points, by project. A row is a project and the ids of at most 100 of its runs.
-- project String: only of this one; empty: all. run_ids Array(UUID): only these; empty: all.
SELECT project, arrayJoin(arraySplit((run, place) -> place % 100 = 1, runs, arrayEnumerate(runs))) AS batch
FROM
(
    SELECT project, arrayMap(run -> toString(run), arraySort(groupUniqArray(run_id))) AS runs
    FROM points
    WHERE ({project:String} = '' OR project = {project:String})
      AND (empty({run_ids:Array(UUID)}) OR run_id IN {run_ids:Array(UUID)})
    GROUP BY project
)
ORDER BY project, batch
