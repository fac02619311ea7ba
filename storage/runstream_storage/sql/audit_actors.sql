-- Who made changes, by name. A row is an actor and how many changes there are of that one.
-- project String.
SELECT actor, count() AS changes
FROM audit FINAL
WHERE project = {project:String}
GROUP BY actor
ORDER BY actor
