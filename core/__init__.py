"""What a public body does with feedback: tickets, codes, units, answers. No network library lives here."""
