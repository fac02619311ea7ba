-- Versions of registered models that are versions of artifacts. A row is a model version that is not deleted: project, model,
-- version, project of the artifact, artifact, digest, stage, when it was registered (microseconds since 1970).
-- projects Array(String): of the artifacts. digests Array(String).
SELECT project, model, version, artifact_project, artifact, digest, stage, toUnixTimestamp64Micro(registered_at) AS registered_us
FROM v_model_versions
WHERE artifact_project IN {projects:Array(String)} AND digest IN {digests:Array(String)} AND NOT deleted
ORDER BY registered_us, model
