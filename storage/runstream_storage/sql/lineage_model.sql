-- The artifact version that a version of a model is. A row is that: its project, artifact, digest, stage, when it was registered
-- (microseconds since 1970).
-- project String. model String. version String: v1, v2, ...
SELECT artifact_project, artifact, digest, stage, toUnixTimestamp64Micro(registered_at) AS registered_us
FROM v_model_versions
WHERE project = {project:String} AND model = {model:String} AND version = {version:String}
