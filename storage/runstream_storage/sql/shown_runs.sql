-- Which of some runs need care: a row is a run that was forked or rewound (moved), or that people deleted (gone).
-- project String. run_ids Array(UUID).
SELECT toString(run_id) AS run, max(moves) AS moved, max(went) AS gone
FROM
(
    SELECT run_id, 1 AS moves, 0 AS went
    FROM moved_runs
    WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
    UNION ALL
    SELECT run_id, 0, 1
    FROM run_attrs FINAL
    WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND key = 'deleted' AND is_deleted = 0
)
GROUP BY run_id
