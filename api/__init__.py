"""Servers for programs: Model Context Protocol, and OpenAI-compatible; both over one `api.service.Service`."""
