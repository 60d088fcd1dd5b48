{{ config(unique_key='event_date', meta=by_day('event_date')) }}
with changed as (select distinct event_date from {{ ref('shop_events') }} {{ since_last_run() }})
select
  event_date,
  count(distinct case when event_type = 'transaction' then coalesce(transaction_id, event_id) end)
    as orders,
  count(distinct case when event_type = 'transaction' then user_id end) as buyers,
  cast(sum(case when event_type = 'transaction' then quantity else 0 end) as bigint) as units,
  cast(sum(case when event_type = 'transaction' then coalesce(price * quantity, 0) else 0 end)
    as decimal(28, 2)) as sales,
  count(case when event_type = 'transaction' and price is null then 1 end) as unpriced_lines,
  {{ run_number() }} as _run
from {{ ref('shop_events') }}
where event_date in (select event_date from changed)
group by event_date
