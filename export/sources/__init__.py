"""Where a model to be published comes from; each kind of source is a module that makes an `Original` of it."""
