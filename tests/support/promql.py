"""What PromQL expressions ask for: metrics, and the labels that they choose and group by."""

from __future__ import annotations

from dataclasses import dataclass, field

import promql_parser

GRAFANA = {"$__rate_interval": "5m", "$model": "digits"}


@dataclass
class Asked:
    """Of one expression."""

    metrics: set[str] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)
    values: dict[str, set[str]] = field(default_factory=dict)
    """Label → the values that it is compared with; a regular expression's alternatives are one each."""


def asked(expression: str) -> Asked:
    """Parses an expression, of a rule or of a Grafana panel.

    Raises:
        ValueError: it is no PromQL.
    """
    for variable, value in GRAFANA.items():
        expression = expression.replace(variable, value)
    found = Asked()

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.MatrixSelector):  # walking does not look into it
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            found.metrics.add(node.name)
            for matcher in node.matchers.matchers:
                found.labels.add(matcher.name)
                found.values.setdefault(matcher.name, set()).update(matcher.value.split("|"))
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            found.labels.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found
