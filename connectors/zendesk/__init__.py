"""Zendesk: who the helpdesk's users are, and their tickets, from the incremental exports."""
