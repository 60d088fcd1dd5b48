"""Forecasts of demand: how many units of each item will be sold."""
