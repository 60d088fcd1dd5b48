{{ config(unique_key='event_id', meta=by_day('event_date')) }}
with arrived as ({{ arrived('shop_events') }}),
ranked as (
  select *, row_number() over (
    partition by event_id order by {{ by_place() }}) as place
  from arrived
  where {{ is_text('event_id') }} and {{ is_text('event_type') }} and {{ is_text('user_id') }}
    and {{ is_text('item_id') }} and event_time is not null and quantity is not null
)
select
  event_id, event_type, event_time, event_date, user_id, item_id, transaction_id,
  case when {{ is_money('price') }} then {{ money('price') }} end as price,
  quantity,
  _topic, _partition, _offset, _ingested_at, {{ run_number() }} as _run
from ranked
where {{ first_of_key('event_id') }}
