-- Every valid payment of bronze is in silver, though silver only ever reads what is new.
select distinct transaction_id
from {{ source('bronze', 'transactions') }} arrived
where {{ is_text('transaction_id') }} and {{ is_text('customer_id') }}
  and {{ is_text('terminal_id') }} and event_time is not null and {{ is_money('amount') }}
  and transaction_id not in (select transaction_id from {{ ref('transactions') }})
