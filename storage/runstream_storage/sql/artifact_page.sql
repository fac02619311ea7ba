-- A page of a project's artifacts. A row is an artifact: name, its newest version's type, number of versions, newest version,
-- its size in bytes, when it was logged (microseconds since 1970), bytes of all versions, and how many artifacts match.
-- Deleted versions do not count. ORDER stands for the order, one of those that artifact_pages.py knows.
-- project String. type String: only of this type; empty: all. search String: only names and types with this in them, in any
-- case; empty: all. tag String: only artifacts of which a version has this tag; empty: all. limit UInt32. offset UInt64.
SELECT name, argMax(type, place) AS newest_type, count() AS versions, concat('v', toString(max(place) - 1)) AS latest,
       argMax(size, place) AS newest_size, argMax(created_us, place) AS newest_us, sum(size) AS all_bytes,
       count() OVER () AS matched
FROM artifact_states
WHERE project = {project:String} AND NOT gone
GROUP BY name
HAVING ({type:String} = '' OR newest_type = {type:String}) AND ({tag:String} = '' OR max(has(tags, {tag:String})))
   AND (empty({search:String}) OR positionCaseInsensitiveUTF8(concat(name, ' ', newest_type), {search:String}) > 0)
ORDER BY $order, name
LIMIT {limit:UInt32} OFFSET {offset:UInt64}
