"""Prefect: the flow, deployments, the server and its workers."""
