module slipway.test/registry-client

go 1.26.0

require github.com/modelcontextprotocol/registry v1.8.7
