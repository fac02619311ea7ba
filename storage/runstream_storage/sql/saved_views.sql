-- Views of the runs table that people saved in a project, by name. A row is a view: name, what it shows, who saved it last.
-- project String.
SELECT substring(key, 6) AS view_name, value, actor
FROM run_attrs FINAL
WHERE project = {project:String} AND run_id = toUUID('00000000-0000-0000-0000-000000000000') AND startsWith(key, 'view:') AND is_deleted = 0
ORDER BY lowerUTF8(view_name), view_name
