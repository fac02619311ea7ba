-- Values of run.summary that exist, those of most runs first. A row is a name and its number of runs.
-- projects Array(String). prefix String: how the name begins, in any case; also after a slash. limit UInt32.
SELECT name, uniqExact(run_id) AS runs
FROM summary_values
WHERE project IN {projects:Array(String)}
  AND (startsWith(lower(name), lower({prefix:String})) OR position(lower(name), concat('/', lower({prefix:String}))) > 0)
GROUP BY name
ORDER BY runs DESC, name
LIMIT {limit:UInt32}
