{{ config(unique_key='event_date', meta=by_day('event_date')) }}
with changed as (select distinct event_date from {{ ref('shop_events') }} {{ since_last_run() }})
select
  event_date,
  item_id,
  count(*) as order_lines,
  cast(sum(quantity) as bigint) as units,
  cast(sum(coalesce(price * quantity, 0)) as decimal(28, 2)) as sales,
  {{ run_number() }} as _run
from {{ ref('shop_events') }}
where event_type = 'transaction' and event_date in (select event_date from changed)
group by event_date, item_id
