{{ config(unique_key='transaction_id', meta=by_day('event_date')) }}
with arrived as ({{ arrived('transactions') }}),
ranked as (
  select *, row_number() over (
    partition by transaction_id order by {{ by_place() }}) as place
  from arrived
  where {{ is_text('transaction_id') }} and {{ is_text('customer_id') }}
    and {{ is_text('terminal_id') }} and event_time is not null and {{ is_money('amount') }}
)
select
  transaction_id, event_time, event_date, customer_id, terminal_id,
  {{ money('amount') }} as amount,
  _topic, _partition, _offset, _ingested_at, {{ run_number() }} as _run
from ranked
where {{ first_of_key('transaction_id') }}
