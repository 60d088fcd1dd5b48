-- Each reading of silver, good or rejected, is counted on one day of one sensor.
select *
from (select sum(good) as good, sum(rejected) as rejected from {{ ref('sensor_health') }}) days,
     (select count(*) as scored from {{ ref('sensor_scores') }}) scores_,
     (select count(*) as refused from {{ ref('rejected_readings') }}) refused_
where coalesce(good, 0) <> scored or coalesce(rejected, 0) <> refused
