# What Millrace runs of this product (docs/decisions/0011).
name: @NAME@
group: @NAME@
features: @NAME@.features
jobs: [@NAME@.@NAME@_features]
consumers:
  @NAME@: {module: @NAME@.consumer, port: @PORT@}
routes: [@NAME@.routes]
