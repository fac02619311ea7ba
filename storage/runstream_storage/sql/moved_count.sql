-- How many rows say that runs were forked or rewound; 0: none of them was. A single row.
-- project String. run_ids Array(UUID).
SELECT count() FROM moved_runs WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
