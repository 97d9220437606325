"""Load: any rate and number of devices against a system of its own, and the proof that nothing was lost or doubled."""
