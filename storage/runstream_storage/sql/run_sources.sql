-- What runs show that were forked or rewound, by run and depth. A row is a run whose points they show; see the view.
-- project String. run_ids Array(UUID).
SELECT toString(run_id) AS run, toString(source) AS shown, depth, upto, cuts
FROM run_sources
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
ORDER BY run, depth
