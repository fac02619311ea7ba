-- Runs that have points, in order. A row is a project and a run.
-- project, run String: only these; empty: all.
SELECT project, toString(run_id) AS run
FROM points
WHERE ({project:String} = '' OR project = {project:String})
  AND ({run:String} = '' OR run_id = toUUIDOrZero({run:String}))
GROUP BY project, run_id
ORDER BY project, run_id
