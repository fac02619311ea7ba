-- Contents that versions of artifacts and media name, in order of sha256. A row is a content: sha256 in hex, its bytes, what is
-- known of it (stored, pending, lost), and one that names it: project, run, and what it is, for people. Deleted versions, and
-- media of deleted runs, name nothing; files that were not copied have no content. A version of an artifact is there only when
-- all of its files are stored. Of media the last word of any run counts, for a content is one object. A run has the versions
-- that it made or read, and the media that it logged itself.
-- project, run String: only these; empty: all. stored UInt8: 0: only what is not stored.
-- prefix String: only contents whose sha256 begins so; empty: all.
WITH deleted AS
(
    SELECT project, run_id
    FROM run_attrs FINAL
    WHERE key = 'deleted' AND is_deleted = 0
)
SELECT sha256, bytes, multiIf(in_artifact OR said = 'stored', 'stored', said = '', 'pending', 'lost') AS state,
       named.1 AS of_project, named.2 AS of_run, named.3 AS what
FROM
(
    SELECT sha256, max(size) AS bytes, any((project, run, label)) AS named, max(of_version) AS in_artifact
    FROM
    (
        SELECT held.1 AS sha256, held.2 AS size, 1 AS of_version, project, toString(run_id) AS run,
               concat('artifact ', name, ':v', toString(place - 1), ', ', held.3) AS label
        FROM
        (
            SELECT project, run_id, name, place,
                   arrayJoin(arrayMap(f -> (f.sha256, f.size, f.path), arrayFilter(f -> f.ref = '' AND startsWith(f.sha256, {prefix:String}), files))) AS held
            FROM artifact_states
            WHERE NOT gone
              AND ({run:String} = '' AND ({project:String} = '' OR project = {project:String})
                   OR {run:String} != '' AND (project, name, digest) IN
                       (SELECT artifact_project, name, digest FROM artifact_links FINAL WHERE run_id = toUUIDOrZero({run:String})))
        )
        UNION ALL
        SELECT sha256, size, 0, toString(project), toString(run_id),
               concat(toString(kind), ' ', toString(name), ', step ', toString(step), ', rank ', toString(rank))
        FROM media
        WHERE ({project:String} = '' OR project = {project:String})
          AND ({run:String} = '' OR run_id = toUUIDOrZero({run:String}))
          AND startsWith(sha256, {prefix:String})
          AND (project, run_id) NOT IN (SELECT project, run_id FROM deleted)
    )
    GROUP BY sha256
) AS n
LEFT ANY JOIN
(
    SELECT sha256, toString(argMax(state, ver)) AS said
    FROM media_contents
    WHERE startsWith(sha256, {prefix:String})
    GROUP BY sha256
) AS c USING sha256
WHERE {stored:UInt8} OR state != 'stored'
ORDER BY sha256
SETTINGS max_bytes_before_external_group_by = 1000000000, max_bytes_before_external_sort = 1000000000
