-- Objects that something still names, in order of sha256. A row is an object: sha256 in hex, and its bytes. They are named by
-- versions of artifacts that are not deleted and by media of runs that are not deleted, of all projects; and by media of
-- deleted runs that a fork which is not deleted shows.
-- prefix String: only objects whose sha256 begins so; empty: all.
WITH gone AS (SELECT project, run_id FROM run_attrs FINAL WHERE key = 'deleted' AND is_deleted = 0)
SELECT sha256, max(size) AS bytes
FROM
(
    SELECT file.1 AS sha256, file.2 AS size
    FROM (SELECT arrayJoin(arrayMap(f -> (f.sha256, f.size), arrayFilter(f -> f.ref = '', files))) AS file FROM artifact_states WHERE NOT gone)
    WHERE startsWith(sha256, {prefix:String})
    UNION ALL
    SELECT sha256, size
    FROM media
    WHERE startsWith(sha256, {prefix:String})
      AND ((project, run_id) NOT IN (SELECT project, run_id FROM gone)
           OR (project, run_id) IN (SELECT project, source FROM run_sources WHERE (project, run_id) NOT IN (SELECT project, run_id FROM gone)))
)
GROUP BY sha256
ORDER BY sha256
SETTINGS max_bytes_before_external_group_by = 1000000000, max_bytes_before_external_sort = 1000000000
