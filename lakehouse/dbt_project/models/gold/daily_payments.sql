{{ config(unique_key='event_date', meta=by_day('event_date')) }}
with changed as (select distinct event_date from {{ ref('transactions') }} {{ since_last_run() }})
select
  event_date,
  count(*) as payments,
  count(distinct customer_id) as customers,
  count(distinct terminal_id) as terminals,
  cast(sum(case when amount > 0 then amount else 0 end) as decimal(28, 2)) as spent,
  cast(sum(case when amount < 0 then -amount else 0 end) as decimal(28, 2)) as refunded,
  {{ run_number() }} as _run
from {{ ref('transactions') }}
where event_date in (select event_date from changed)
group by event_date
