-- Objects that something names, in order of sha256. A row is an object: sha256 in hex, its bytes, whether something that is not
-- deleted names it, and the kind of what does: artifact or media. They are named by versions of artifacts and by media of
-- runs, of all projects. Media of deleted runs are needed while a fork that is not deleted shows them.
-- prefix String: only objects whose sha256 begins so; empty: all. deleted_before_us Int64: a deletion counts when it was made
-- before (microseconds since 1970).
WITH deleted AS
(
    SELECT project, run_id
    FROM run_attrs FINAL
    WHERE key = 'deleted' AND is_deleted = 0
      AND toInt64(bitAnd(bitShiftRight(ver, 6), 1125899906842623)) + 1735689600000000 < {deleted_before_us:Int64}
)
SELECT sha256, max(size) AS bytes, max(needed) AS is_needed, argMax(kind, needed) AS of_kind
FROM
(
    SELECT held.1 AS sha256, held.2 AS size, needed, 'artifact' AS kind
    FROM
    (
        SELECT arrayJoin(arrayMap(f -> (f.sha256, f.size), arrayFilter(f -> f.ref = '', files))) AS held,
               NOT (gone AND gone_us < {deleted_before_us:Int64}) AS needed
        FROM artifact_states
    )
    WHERE startsWith(sha256, {prefix:String})
    UNION ALL
    SELECT sha256, size,
           (project, run_id) NOT IN (SELECT project, run_id FROM deleted)
           OR (project, run_id) IN (SELECT project, source FROM run_sources WHERE (project, run_id) NOT IN (SELECT project, run_id FROM deleted)) AS needed,
           'media' AS kind
    FROM media
    WHERE startsWith(sha256, {prefix:String})
)
GROUP BY sha256
ORDER BY sha256
SETTINGS max_bytes_before_external_group_by = 1000000000, max_bytes_before_external_sort = 1000000000
