module slipway.test/toolchain/istio

go 1.25.0

require istio.io/api v1.28.0
