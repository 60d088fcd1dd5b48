{#- A reading is told of again after a kill: its place in the log of readings says which it is. -#}
{{ config(unique_key='reading_id', meta=by_day('event_date')) }}
with arrived as ({{ arrived('rejected_readings', 'arrived') }}),
named as (
  select *, concat(cast(source_partition as varchar), '/', cast(source_offset as varchar))
    as reading_id
  from arrived
  where {{ is_text('sensor_id') }} and arrived is not null
),
ranked as (
  select *, row_number() over (partition by reading_id order by {{ by_place() }}) as place
  from named
)
select
  reading_id, sensor_id, sensor_type, location, asset_id, arrived, event_date,
  "timestamp" as measured_at, detail, value, temperature, humidity, pressure,
  coalesce({{ first_of('reasons') }}, 'none') as reason,
  _topic, _partition, _offset, _ingested_at, {{ run_number() }} as _run
from ranked
where {{ first_of_key('reading_id') }}
