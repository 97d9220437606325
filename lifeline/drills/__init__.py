"""Drills: what is planned, when it comes back, and what the report says of it. Pure but for the PDF."""
