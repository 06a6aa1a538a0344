"""`h2load` and `wrk`, where Locust itself would be the bottleneck.

Both send one request's body over and over, and look at no answer: a short test with Locust before and another after
check the answers.
"""
