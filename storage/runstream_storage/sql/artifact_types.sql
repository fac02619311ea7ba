-- Types of a project's artifacts, those of most artifacts first. A row is a type and the number of artifacts.
-- project String.
SELECT newest_type, count() AS artifacts
FROM (SELECT name, argMax(type, place) AS newest_type FROM artifact_states WHERE project = {project:String} AND NOT gone GROUP BY name)
GROUP BY newest_type
ORDER BY artifacts DESC, newest_type
