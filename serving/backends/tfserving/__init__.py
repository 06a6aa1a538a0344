"""TensorFlow Serving servers as a back end: the gateway's batch is one RPC to one of them."""
