-- Projects of which anything has arrived, in order. A row is a project.
-- No parameters.
SELECT DISTINCT project
FROM (SELECT project FROM coverage UNION ALL SELECT project FROM liveness)
ORDER BY 1
