-- Tags that exist, those of most runs first. A row is a tag and its number of runs.
-- projects Array(String). prefix String: how the tag begins, in any case. limit UInt32.
SELECT tag AS name, count() AS runs
FROM v_tags
WHERE project IN {projects:Array(String)} AND startsWith(lower(tag), lower({prefix:String}))
GROUP BY name
ORDER BY runs DESC, name
LIMIT {limit:UInt32}
