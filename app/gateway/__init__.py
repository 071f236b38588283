"""External MCP servers: started, watched, bridged, and served with all their tools under one endpoint."""
