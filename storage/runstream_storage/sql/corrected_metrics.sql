-- Metrics of which some run has a row in place of its sums, in no order. A row is a project and a metric.
-- projects Array(String). metrics Array(String).
SELECT DISTINCT project, metric
FROM summary_exact
WHERE project IN {projects:Array(String)} AND metric IN {metrics:Array(String)}
