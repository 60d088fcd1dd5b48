{#- Models are dbt's plain incremental ones. On DuckDB they are stored in Iceberg by the plugin
    `lake`: rows of `unique_key` replace those that the table has, as delete+insert does on
    Trino. -#}

{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ custom_schema_name or target.schema }}
{%- endmacro %}

{#- The column by whose days a model's table is partitioned. -#}
{% macro by_day(column) -%}
  {{ return({'day': column, 'partitioning': "ARRAY['" ~ column ~ "']"}) }}
{%- endmacro %}

{#- On DuckDB a table of the lake is a view. -#}
{% macro is_incremental() %}
  {% if not execute %}{{ return(false) }}{% endif %}
  {% set found = adapter.get_relation(this.database, this.schema, this.table) %}
  {{ return(found is not none and model.config.materialized == 'incremental'
            and not should_full_refresh()) }}
{% endmacro %}

{#- Of `ranked`, the first row of each key, where the model's table has no earlier one. -#}
{% macro first_of_key(key) -%}
place = 1
{% if is_incremental() %}
  and not exists (
    select 1 from {{ this }} known
    where known.{{ key }} = ranked.{{ key }} and {{ before('known', 'ranked') }})
{% endif %}
{%- endmacro %}

{#- The number of this run. On DuckDB a variable of the connection, so that the text of models stays
    the same and dbt need not parse them again; else the time of its start in ms. -#}
{% macro run_number() -%}
  {% if target.type == 'duckdb' -%} cast(getvariable('run') as bigint)
  {%- else -%} cast({{ (run_started_at.timestamp() * 1000) | int }} as bigint) {%- endif %}
{%- endmacro %}

{% materialization incremental, adapter='duckdb' %}
  {%- set target_relation = this.incorporate(type='view') -%}
  {%- set computed = this.incorporate(
        path={'identifier': this.identifier ~ '__computed'}, type='table') -%}
  {%- set known = adapter.get_relation(this.database, this.schema, this.table) -%}
  {%- set key = config.get('unique_key') or [] -%}
  {{ run_hooks(pre_hooks) }}
  {% call statement('main') -%}
    create or replace table {{ computed }} as (
      {{ compiled_code }}
    )
  {%- endcall %}
  {% do adapter.commit() %}
  {% do adapter.store_relation('lake', computed, [], '', 'iceberg', {'lake': {
      'table': this.schema ~ '.' ~ this.identifier,
      'key': [key] if key is string else key,
      'day': (config.get('meta') or {}).get('day'),
      'whole': known is none or should_full_refresh()}}) %}
  {% call statement('drop_computed') -%} drop table {{ computed }} {%- endcall %}
  {{ run_hooks(post_hooks) }}
  {% do adapter.commit() %}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
