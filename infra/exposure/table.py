"""What each way into the cluster can do: one table, one row a profile."""

from collections.abc import Mapping

from infra.exposure.row import Already, Cannot, Outside, Row, Sets
from infra.exposure.wishes import Profile

_NGINX = "nginx.ingress.kubernetes.io"
_HAPROXY = "haproxy-ingress.github.io"
_TRAEFIK = "traefik.ingress.kubernetes.io"
_ALB = "alb.ingress.kubernetes.io"
_APPGW = "appgw.ingress.kubernetes.io"
_OWN_HOST = "a host of its own (servers.<name>.host)"
_OWN_LIMIT = "the program's own limit, MCP_MAX_BODY_BYTES in the server's environment"

TABLE: Mapping[Profile, Row] = {
    "nginx": Row(
        controller="ingress-nginx, or a controller that reads its annotations (Traefik 3.6 and later)",
        class_name="nginx",
        tls=Sets(ingress={f"{_NGINX}/ssl-redirect": "true"}),
        timeouts=Sets(
            ingress={f"{_NGINX}/proxy-read-timeout": "{timeout}", f"{_NGINX}/proxy-send-timeout": "{timeout}"}
        ),
        affinity=Sets(
            ingress={
                f"{_NGINX}/affinity": "cookie",
                f"{_NGINX}/session-cookie-name": "{cookie}",
                f"{_NGINX}/session-cookie-expires": "{affinity}",
                f"{_NGINX}/session-cookie-max-age": "{affinity}",
            }
        ),
        streaming=Sets(ingress={f"{_NGINX}/proxy-buffering": "off", f"{_NGINX}/proxy-request-buffering": "off"}),
        body_size=Sets(ingress={f"{_NGINX}/proxy-body-size": "{body}"}),
        rate_limit=Sets(
            ingress={f"{_NGINX}/limit-rps": "{rps}", f"{_NGINX}/limit-burst-multiplier": "{burst_multiplier}"}
        ),
        allow_from=Sets(ingress={f"{_NGINX}/whitelist-source-range": "{allow}"}),
        prefix=Sets(
            ingress={
                f"{_NGINX}/use-regex": "true",
                f"{_NGINX}/rewrite-target": "/$2",
                f"{_NGINX}/session-cookie-path": "{prefix}",
            }
        ),
    ),
    "traefik": Row(
        controller="Traefik 3, its Ingress and its CRD provider",
        class_name="traefik",
        tls=Sets(ingress={f"{_TRAEFIK}/router.tls": "true"}),
        timeouts=Sets(
            service={f"{_TRAEFIK}/service.serverstransport": "{namespace}-{name}@kubernetescrd"},
            by="ServersTransport forwardingTimeouts.responseHeaderTimeout; open streams have no timeout",
        ),
        affinity=Sets(
            service={
                f"{_TRAEFIK}/service.sticky.cookie": "true",
                f"{_TRAEFIK}/service.sticky.cookie.name": "{cookie}",
                f"{_TRAEFIK}/service.sticky.cookie.maxage": "{affinity}",
                f"{_TRAEFIK}/service.sticky.cookie.httponly": "true",
            }
        ),
        streaming=Already("it passes responses on as they come, without the Buffering middleware"),
        body_size=Cannot(
            "its Buffering middleware holds back whole responses too, so no event stream would pass", _OWN_LIMIT
        ),
        rate_limit=Sets(by="Middleware rateLimit"),
        allow_from=Sets(by="Middleware ipAllowList"),
        prefix=Sets(by="Middleware stripPrefix"),
    ),
    "haproxy": Row(
        controller="HAProxy Ingress (haproxy-ingress.github.io)",
        class_name="haproxy",
        tls=Sets(ingress={f"{_HAPROXY}/ssl-redirect": "true"}),
        timeouts=Sets(ingress={f"{_HAPROXY}/timeout-server": "{timeout}s", f"{_HAPROXY}/timeout-tunnel": "{timeout}s"}),
        affinity=Sets(
            ingress={
                f"{_HAPROXY}/affinity": "cookie",
                f"{_HAPROXY}/session-cookie-name": "{cookie}",
                f"{_HAPROXY}/session-cookie-keywords": "indirect nocache httponly maxlife {affinity}s",
            }
        ),
        streaming=Already("it buffers no responses"),
        body_size=Sets(ingress={f"{_HAPROXY}/proxy-body-size": "{body}"}),
        rate_limit=Sets(ingress={f"{_HAPROXY}/limit-rps": "{rps}"}),
        burst=Cannot("limit-rps has a fixed burst", "exposure.rateLimit.requestsPerSecond alone"),
        allow_from=Sets(ingress={f"{_HAPROXY}/allowlist-source-range": "{allow}"}),
        prefix=Sets(ingress={f"{_HAPROXY}/rewrite-target": "/"}),
    ),
    "alb": Row(
        controller="AWS Load Balancer Controller",
        class_name="alb",
        base={f"{_ALB}/scheme": "internet-facing", f"{_ALB}/target-type": "ip"},
        tls=Cannot(
            "an ALB serves certificates of AWS Certificate Manager, not of a Secret",
            "tls.mode: none, and a certificate for the host by exposure.certificateArn",
        ),
        certificate=Sets(
            ingress={
                f"{_ALB}/certificate-arn": "{certificate}",
                f"{_ALB}/listen-ports": '[{{"HTTP": 80}}, {{"HTTPS": 443}}]',
                f"{_ALB}/ssl-redirect": "443",
            }
        ),
        timeouts=Already("its only timeout is the idle one"),
        idle_timeout=Sets(ingress={f"{_ALB}/load-balancer-attributes": "idle_timeout.timeout_seconds={idle}"}),
        affinity=Sets(
            ingress={
                f"{_ALB}/target-group-attributes": "stickiness.enabled=true,stickiness.type=lb_cookie,"
                "stickiness.lb_cookie.duration_seconds={affinity},deregistration_delay.timeout_seconds={drain}"
            }
        ),
        streaming=Already("it buffers no responses"),
        body_size=Cannot("an ALB has no limit of its own to set", f"{_OWN_LIMIT}, or a rule of AWS WAF"),
        rate_limit=Cannot("an ALB limits no rates", "a rate-based rule of AWS WAF, or the profile nginx"),
        allow_from=Sets(ingress={f"{_ALB}/inbound-cidrs": "{allow}"}),
        prefix=Cannot("an Ingress of an ALB takes no path off", _OWN_HOST),
        draining=Sets(by="target group attribute deregistration_delay, with the affinity"),
        limits={"exposure.idleTimeoutSeconds": (1, 4000), "exposure.affinitySeconds": (1, 604_800)},
    ),
    "gce": Row(
        controller="GKE Ingress",
        class_name="gce",
        class_by_annotation=True,
        timeouts=Sets(
            service={
                "cloud.google.com/backend-config": '{{"default": "{name}"}}',
                "cloud.google.com/neg": '{{"ingress": true}}',
            },
            by="BackendConfig timeoutSec",
        ),
        affinity=Sets(by="BackendConfig sessionAffinity"),
        streaming=Already("it passes responses on as they come"),
        body_size=Cannot("a GKE Ingress has no limit to set", f"{_OWN_LIMIT}, or a rule of Cloud Armor"),
        rate_limit=Cannot("a GKE Ingress limits no rates", "a rule of Cloud Armor, or the profile nginx"),
        allow_from=Cannot(
            "a GKE Ingress knows addresses by Cloud Armor policies only", "a Cloud Armor policy, or the profile nginx"
        ),
        prefix=Cannot("a GKE Ingress takes no path off", _OWN_HOST),
        draining=Sets(by="BackendConfig connectionDraining"),
        limits={"exposure.timeoutSeconds": (1, 86_400), "exposure.affinitySeconds": (1, 1_209_600)},
    ),
    "appgw": Row(
        controller="Azure Application Gateway Ingress Controller",
        class_name="azure/application-gateway",
        class_by_annotation=True,
        tls=Sets(ingress={f"{_APPGW}/ssl-redirect": "true"}),
        timeouts=Sets(ingress={f"{_APPGW}/request-timeout": "{timeout}"}),
        affinity=Sets(ingress={f"{_APPGW}/cookie-based-affinity": "true"}),
        affinity_lifetime=Cannot(
            "its cookie lives as long as the browser session", "the default, by leaving exposure.affinitySeconds out"
        ),
        streaming=Outside("turn response buffering off in the Application Gateway's global configuration"),
        body_size=Cannot("the limit belongs to the gateway's WAF policy", f"{_OWN_LIMIT}, or the WAF policy"),
        rate_limit=Cannot("it limits rates by its WAF policy only", "the WAF policy, or the profile nginx"),
        allow_from=Cannot("it knows addresses by its WAF policy only", "the WAF policy, or the profile nginx"),
        prefix=Sets(ingress={f"{_APPGW}/backend-path-prefix": "/"}),
        draining=Sets(
            ingress={f"{_APPGW}/connection-draining": "true", f"{_APPGW}/connection-draining-timeout": "{drain}"}
        ),
        limits={"exposure.timeoutSeconds": (1, 86_400)},
    ),
    "gatewayApi": Row(
        controller="any implementation of Gateway API v1",
        kind="httpRoute",
        tls=Outside("the Gateway's listener must name the Secret; the stack grants it the right to read it"),
        timeouts=Sets(by="HTTPRoute timeouts.request and timeouts.backendRequest"),
        affinity=Cannot(
            "session persistence is not in the standard channel of Gateway API",
            "the Service's ClientIP affinity (servers.<name>.affinity), or a policy of the implementation",
        ),
        streaming=Already("routes pass responses on as they come"),
        body_size=Cannot("Gateway API has no limit to set", f"{_OWN_LIMIT}, or a policy of the implementation"),
        rate_limit=Cannot("Gateway API limits no rates", "a policy of the implementation, or the profile nginx"),
        allow_from=Cannot("Gateway API knows no addresses", "a policy of the implementation, or the profile nginx"),
        prefix=Sets(by="HTTPRoute filter URLRewrite"),
        limits={"exposure.timeoutSeconds": (1, 99_999)},
    ),
    "nodePort": Row(
        controller="none: kube-proxy on every node",
        kind="nodePort",
        host=Cannot("a node port is found by the node's address", "exposure.host with an ingress profile, e.g. nginx"),
        tls=Cannot("nothing in front of the pods ends TLS", "tls.mode: none, or an ingress profile, e.g. nginx"),
        timeouts=Already("nothing in between ends a connection"),
        affinity=Already("the Service's ClientIP affinity"),
        streaming=Already("nothing in between buffers"),
        body_size=Cannot("nothing in between reads bodies", _OWN_LIMIT),
        rate_limit=Cannot("nothing in between counts requests", "an ingress profile, e.g. nginx"),
        allow_from=Cannot("nodes hide the client's address", "an ingress profile, e.g. nginx"),
        prefix=Cannot("nothing in between reads paths", "a node port for each server (servers.<name>.nodePort)"),
    ),
    "none": Row(
        controller="none: the servers are reached from inside the cluster only",
        kind="none",
        host=Cannot("nothing is exposed", "an exposure.profile, e.g. nginx"),
        tls=Cannot("nothing is exposed", "tls.mode: none, or an exposure.profile, e.g. nginx"),
        timeouts=Already("nothing in between ends a connection"),
        affinity=Already("the Service's ClientIP affinity"),
        streaming=Already("nothing in between buffers"),
        body_size=Cannot("nothing is exposed", _OWN_LIMIT),
        rate_limit=Cannot("nothing is exposed", "an exposure.profile, e.g. nginx"),
        allow_from=Cannot("nothing is exposed", "an exposure.profile, e.g. nginx"),
        prefix=Cannot("nothing is exposed", "path: /"),
    ),
}
