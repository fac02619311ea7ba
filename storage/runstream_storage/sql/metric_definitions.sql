-- What define_metric() said of metrics. A row is a pattern: the newest definition of it by the runs asked for.
-- project String. run_ids Array(UUID): whose definitions; empty: those of all runs of the project.
SELECT pattern, newest.1 AS x_axis, newest.2 AS summary, newest.3 AS goal, newest.4 AS hidden, newest.5 AS unit
FROM
(
    SELECT d.pattern AS pattern, argMax((d.x_axis, d.summary, d.goal, d.hidden, d.unit), d.ver) AS newest
    FROM metric_defs AS d
    WHERE project = {project:String} AND (empty({run_ids:Array(UUID)}) OR run_id IN {run_ids:Array(UUID)})
    GROUP BY pattern
)
ORDER BY pattern
