"""What the product costs, measured beside what it is compared with: one file per question asked.

Only ratios of one run count; absolute figures belong to the machine they were measured on.
"""
