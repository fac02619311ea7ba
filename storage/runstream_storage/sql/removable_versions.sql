-- Versions of artifacts that may be removed, in order of project, name and version. A row is a version: project, name, version,
-- digest, bytes, when it expired (microseconds since 1970; 0: it did not), its score (NaN: none), and its rank by score among
-- the versions that are not deleted (0: the newest version says to keep all).
-- Never one with an alias other than latest, nor one that is a version of a registered model of any project. A version without a score is
-- none of the best, nor does it go for that; nor does the newest one.
-- projects Array(String): which; empty: all. now_us Int64: microseconds since 1970.
SELECT project, name, version, digest, size, expired_us, score, rank
FROM
(
    SELECT *, if(best = 0 OR isNaN(score), 0, row_number() OVER (PARTITION BY project, name, isNaN(score) ORDER BY badness, place DESC)) AS rank
    FROM
    (
        SELECT project, name, digest, size, score, is_latest, concat('v', toString(place - 1)) AS version, place,
               if(expires_us > 0 AND expires_us <= {now_us:Int64}, expires_us, 0) AS expired_us,
               argMax((keep_best, toString(keep_goal)), place) OVER (PARTITION BY project, name) AS policy, policy.1 AS best,
               if(policy.2 = 'maximize', -score, score) AS badness
        FROM artifact_states
        WHERE NOT gone AND (empty({projects:Array(String)}) OR project IN {projects:Array(String)})
    )
)
WHERE (expired_us > 0 OR (rank > best AND NOT is_latest))
  AND (project, name, digest) NOT IN (SELECT project, name, digest FROM artifact_aliases FINAL WHERE is_deleted = 0 AND alias != 'latest')
  AND (project, name, digest) NOT IN (SELECT artifact_project, artifact, digest FROM v_model_versions WHERE NOT deleted)
ORDER BY project, name, place
