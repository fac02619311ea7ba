-- The newest sign of life of any run, in microseconds since 1970; 0 without runs. A single row.
-- No parameters.
SELECT max(arrived_us) AS newest_us FROM liveness
