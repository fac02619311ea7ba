-- Metrics that exist, those of most runs first. A row is a name and its number of runs.
-- projects Array(String). prefix String: how the name begins, in any case; also after a slash. limit UInt32.
SELECT metric AS name, uniqExact(run_id) AS runs
FROM
(
    SELECT metric, run_id
    FROM metric_summary
    WHERE project IN {projects:Array(String)}
      AND (metric, run_id) NOT IN (SELECT metric, run_id FROM summary_exact WHERE project IN {projects:Array(String)})
    UNION ALL
    SELECT metric, run_id FROM summary_exact FINAL WHERE project IN {projects:Array(String)} AND n > 0
)
WHERE startsWith(lower(name), lower({prefix:String})) OR position(lower(name), concat('/', lower({prefix:String}))) > 0
GROUP BY name
ORDER BY runs DESC, name
LIMIT {limit:UInt32}
