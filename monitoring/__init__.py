"""Watch the platform: what is measured, the rules that tell people of it, and the dashboards."""
