"""Read shop events from outside: Retail Rocket, Instacart, Olist, Online Retail."""
