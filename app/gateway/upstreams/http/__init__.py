"""A lean HTTP client for one server: kept connections, whole answers or event streams, no task a request."""
