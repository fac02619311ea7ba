-- Artifacts, the newest first. A row is an artifact: project, name, its newest version's type, number of versions, newest
-- version, its size in bytes, when it was logged (microseconds since 1970), and bytes of all versions, files that several
-- versions share counted each time. Deleted versions count only if they are asked for.
-- projects Array(String). type String: only of this type; empty: all. search String: only names with this in them, in any
-- case; empty: all. tag String: only artifacts of which a version has this tag; empty: all. deleted UInt8: 1: deleted ones,
-- too. limit UInt32. offset UInt64.
SELECT project, name, argMax(type, place) AS newest_type, count() AS versions, concat('v', toString(max(place) - 1)) AS latest,
       argMax(size, place) AS newest_size, argMax(created_us, place) AS newest_us, sum(size) AS all_bytes
FROM artifact_states
WHERE project IN {projects:Array(String)} AND (NOT gone OR {deleted:UInt8} = 1)
  AND (empty({search:String}) OR positionCaseInsensitiveUTF8(name, {search:String}) > 0)
GROUP BY project, name
HAVING ({type:String} = '' OR newest_type = {type:String}) AND ({tag:String} = '' OR max(has(tags, {tag:String})))
ORDER BY newest_us DESC, name
LIMIT {limit:UInt32} OFFSET {offset:UInt64}
