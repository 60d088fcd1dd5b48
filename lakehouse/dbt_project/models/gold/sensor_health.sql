{#- By day of arrival; alerts by the day on which they opened. -#}
{{ config(unique_key=['event_date', 'sensor_id'], meta=by_day('event_date')) }}
with good_ as (select * from {{ ref('sensor_scores') }}),
rejected_ as (select * from {{ ref('rejected_readings') }}),
opened_ as (
  select *, entity as sensor_id from {{ ref('alerts_opened') }} where product = 'sensors'
),
new_good as (select event_date, sensor_id from good_ {{ since_last_run() }}),
new_rejected as (select event_date, sensor_id from rejected_ {{ since_last_run() }}),
new_opened as (select event_date, sensor_id from opened_ {{ since_last_run() }}),
changed as (
  select event_date, sensor_id from new_good
  union select event_date, sensor_id from new_rejected
  union select event_date, sensor_id from new_opened
),
good as (
  select
    event_date, sensor_id, count(*) as good, count(case when late then 1 end) as late,
    count(case when score >= 0.5 then 1 end) as unusual, max(arrived) as last_good
  from good_ group by event_date, sensor_id
),
rejected as (
  select event_date, sensor_id, count(*) as rejected, max(arrived) as last_rejected
  from rejected_ group by event_date, sensor_id
),
opened as (
  select
    event_date, sensor_id, count(*) as alerts,
    count(case when kind = 'SILENT' then 1 end) as silences
  from opened_ group by event_date, sensor_id
)
select
  changed.event_date, changed.sensor_id,
  coalesce(good.good, 0) as good,
  coalesce(rejected.rejected, 0) as rejected,
  {{ share('coalesce(rejected.rejected, 0)',
           '(coalesce(good.good, 0) + coalesce(rejected.rejected, 0))') }} as rejected_share,
  coalesce(good.late, 0) as late,
  coalesce(good.unusual, 0) as unusual,
  coalesce(opened.alerts, 0) as alerts,
  coalesce(opened.silences, 0) as silences,
  good.last_good,
  rejected.last_rejected,
  {{ run_number() }} as _run
from changed
left join good on changed.event_date = good.event_date and changed.sensor_id = good.sensor_id
left join rejected
  on changed.event_date = rejected.event_date and changed.sensor_id = rejected.sensor_id
left join opened on changed.event_date = opened.event_date and changed.sensor_id = opened.sensor_id
