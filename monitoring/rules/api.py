"""Rules about the API: requests that fail, and requests that take long."""

from monitoring.rules.rule import Alert

# Streams of the live page last as long as somebody looks.
ROUTES = 'route=~"/v1/.*",route!~"/v1/page.*"'
FAILED = 'status=~"5.."'
SLOW_S = "0.25"
SECONDS = "millrace_api_request_seconds"


def _count(window: str, *labels: str) -> str:
    return f"sum(rate({SECONDS}_count{{{','.join((ROUTES, *labels))}}}[{window}]))"


# Of a few requests one is a high share, and no finding.
ENOUGH = f"sum(increase({SECONDS}_count{{{ROUTES}}}[5m])) > 20"

ALERTS = (
    Alert(
        name="ApiErrors",
        expr=f"{_count('5m', FAILED)} / {_count('5m')} > 0.05 and {ENOUGH}",
        hold="2m",
        severity="critical",
        summary="The API answers {{ $value | humanizePercentage }} of its requests with an error",
        entity="api",
    ),
    Alert(
        name="ApiSlow",
        expr=(
            f'1 - sum(rate({SECONDS}_bucket{{le="{SLOW_S}",{ROUTES}}}[5m])) / {_count("5m")} > 0.05'
            f" and {ENOUGH}"
        ),
        hold="5m",
        severity="warning",
        summary=(
            "The API takes longer than "
            f"{SLOW_S} s for {{{{ $value | humanizePercentage }}}} of its requests"
        ),
        entity="api",
    ),
)
