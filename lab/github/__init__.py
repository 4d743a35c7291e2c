"""A stand-in for the part of GitHub's REST API that a deployment gate reads: real HTTP, one repository, named faults.

It answers to GitHub's own contract (shapes, headers, limits and errors as in GitHub's REST reference and its OpenAPI
document); what is not known of GitHub is said where it is decided. `python -m lab.github --help` starts it.
"""
