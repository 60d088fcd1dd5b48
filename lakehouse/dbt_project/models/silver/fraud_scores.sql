{{ config(unique_key='transaction_id', meta=by_day('event_date')) }}
with arrived as ({{ arrived('fraud_scores') }}),
ranked as (
  select *, row_number() over (
    partition by transaction_id order by {{ by_place() }}) as place
  from arrived
  where {{ is_text('transaction_id') }} and event_time is not null
    and score between 0 and 1 and decision in ('approve', 'review', 'block')
)
select
  transaction_id, event_time, event_date, customer_id, terminal_id, score, decision,
  coalesce({{ first_of('reasons') }}, 'none') as rule,
  model_version, feature_set_version, late, scored_at,
  _topic, _partition, _offset, _ingested_at, {{ run_number() }} as _run
from ranked
where {{ first_of_key('transaction_id') }}
