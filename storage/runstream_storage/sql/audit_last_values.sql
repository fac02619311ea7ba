-- Summaries whose last value no visible point of that step has, by run and metric. A row is run, metric, step.
-- project String. runs Array(UUID).
SELECT toString(s.run_id) AS run, s.metric, s.last_step
FROM
(
    SELECT run_id, toString(v.metric) AS metric, last, last_step
    FROM v_summary AS v
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)}
) AS s
LEFT JOIN
(
    SELECT run_id, toString(v.metric) AS metric, step, groupArray(reinterpretAsInt64(value)) AS bits
    FROM v_points AS v
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)}
      AND step IN (SELECT last_step FROM v_summary WHERE project = {project:String} AND run_id IN {runs:Array(UUID)})
    GROUP BY run_id, metric, step
) AS p ON p.run_id = s.run_id AND p.metric = s.metric AND p.step = s.last_step
WHERE NOT has(p.bits, reinterpretAsInt64(s.last))
ORDER BY run, s.metric
