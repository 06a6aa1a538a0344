"""From a trained run to a published model bundle, proven to answer alike in every runtime."""
