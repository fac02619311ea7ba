-- Tags of the artifacts of projects, by name. A row is a tag and how many versions have it.
-- projects Array(String).
SELECT arrayJoin(tags) AS tag, count() AS versions
FROM artifact_states
WHERE project IN {projects:Array(String)} AND NOT gone
GROUP BY tag
ORDER BY tag
