-- What was done to a registered model, the newest first. A row is a change: when (microseconds since 1970), who, what, the
-- version meant (empty: the model), project, artifact and digest of it,
-- value, note.
-- project String. model String. limit UInt32.
SELECT e.ts_us, e.actor, toString(e.action) AS action, v.version AS version, e.artifact_project, e.artifact, e.digest, e.value, e.note
FROM (SELECT * FROM model_events FINAL WHERE project = {project:String} AND model = {model:String}) AS e
LEFT ANY JOIN (SELECT artifact_project, artifact, digest, version FROM v_model_versions WHERE project = {project:String} AND model = {model:String}) AS v
    ON v.artifact_project = e.artifact_project AND v.artifact = e.artifact AND v.digest = e.digest
ORDER BY e.ver DESC, e.action
LIMIT {limit:UInt32}
