"""Workers of shards: this process, several, remote ones, Ray."""
