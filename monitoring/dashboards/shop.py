"""The shop: orders and GMV by window, conversion, and the lists of recommendations."""

from monitoring.dashboards.panel import Dashboard, Panel, Query, lines, number

MINUTES = "no order came in the window"

DASHBOARD = Dashboard(
    "shop",
    "Shop",
    {
        "The newest closed windows, and the minute as it stands": (
            lines("Orders", "millrace_business_orders", "{{window}}", empty=MINUTES),
            lines("GMV", "millrace_business_gmv", "{{window}}", empty=MINUTES),
            lines(
                "Average order value",
                "millrace_business_average_order_value",
                "{{window}}",
                empty=MINUTES,
            ),
            lines(
                "Active visitors", "millrace_business_active_visitors", "{{window}}", empty=MINUTES
            ),
            lines(
                "Conversion along the path",
                "millrace_business_path_conversion",
                "{{window}}",
                "percentunit",
                empty=MINUTES,
            ),
            Panel(
                "Share of payments blocked",
                (
                    Query("millrace_business_fraud_rate", "{{window}}"),
                    Query(
                        'sum(rate(millrace_fraud_decisions_total{decision="block"}[5m]))'
                        " / (sum(rate(millrace_fraud_decisions_total[5m])) > 0)",
                        "as decided now",
                    ),
                ),
                "percentunit",
                empty="no payment was decided",
            ),
        ),
        "Recommendations": (
            number("Sessions in the index", "millrace_recommendations_sessions"),
            number("Items in the index", "millrace_recommendations_items"),
            lines(
                "Share of clicks on an item of the list before",
                "rate(millrace_recommendations_hits_total[5m])"
                " / (rate(millrace_recommendations_clicks_total[5m]) > 0)",
                "hit rate",
                "percentunit",
                empty="no visitor with a list clicked",
            ),
            lines("Lists to be made", "millrace_recommendations_waiting", "visitors"),
        ),
    },
    needs="shop",
)
