-- Artifacts, the newest first. A row is an artifact: project, name, its newest version's type, number of versions, newest
-- version, its size in bytes and when it was logged (microseconds since 1970).
-- projects Array(String). type String: only of this type; empty: all.
SELECT project, name, argMax(type, at) AS newest_type, count() AS versions, concat('v', toString(versions - 1)) AS latest,
       argMax(size, at) AS newest_size, max(created_us) AS newest_us
FROM (SELECT project, name, type, size, created_us, (created_us, ver, digest) AS at FROM artifacts FINAL
      WHERE project IN {projects:Array(String)})
GROUP BY project, name
HAVING {type:String} = '' OR newest_type = {type:String}
ORDER BY newest_us DESC, name
