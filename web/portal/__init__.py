"""What citizens reach at `/`: speak up, follow a ticket, find people and services."""
