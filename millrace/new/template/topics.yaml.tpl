# `schema` names a record: of schema/, or one that follows from a feature table.
topics:
  @TOPIC@-events: {key: @KEY@, schema: @RECORD@, partitions: 1}
  @TOPIC@-features: {key: @KEY@, schema: @CLASS@Features, partitions: 1}
