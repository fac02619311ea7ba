-- Runs that people deleted and nobody restored, the last first. A row is a run: id, name, when it was started and when it was
-- deleted (microseconds since 1970), by whom it was started, by whom deleted, and how many deleted runs there are.
-- project String. search String: only names with this in them, in any case; empty: all. limit UInt32. offset UInt64.
SELECT toString(d.run_id) AS run, if(n.value != '', n.value, r.name) AS run_name, r.created_us AS started_us,
       toInt64(bitShiftRight(bitAnd(d.ver, 0x00FFFFFFFFFFFFFF), 6)) + 1735689600000000 AS deleted_us, r.user AS started_by, d.actor AS deleted_by,
       count() OVER () AS total
FROM (SELECT run_id, ver, actor FROM run_attrs FINAL WHERE project = {project:String} AND key = 'deleted' AND is_deleted = 0) AS d
INNER JOIN (SELECT run_id, name, user, created_us FROM runs FINAL WHERE project = {project:String}) AS r ON r.run_id = d.run_id
LEFT JOIN (SELECT run_id, value FROM run_attrs FINAL WHERE project = {project:String} AND key = 'name' AND is_deleted = 0) AS n
    ON n.run_id = d.run_id
WHERE empty({search:String}) OR positionCaseInsensitiveUTF8(run_name, {search:String}) > 0
ORDER BY deleted_us DESC, run
LIMIT {limit:UInt32} OFFSET {offset:UInt64}
