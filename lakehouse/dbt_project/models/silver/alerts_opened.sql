{{ config(unique_key='alert_id', meta=by_day('event_date')) }}
with arrived as ({{ arrived('alerts') }}),
ranked as (
  select *, row_number() over (partition by alert_id order by {{ by_place() }}) as place
  from arrived
  where {{ is_text('alert_id') }} and {{ is_text('entity') }} and event_time is not null
    and state = 'open'
)
select
  alert_id, entity, event_time, event_date, kind, severity, product, location,
  _topic, _partition, _offset, _ingested_at, {{ run_number() }} as _run
from ranked
where {{ first_of_key('alert_id') }}
