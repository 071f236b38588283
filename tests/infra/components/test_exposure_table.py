import subprocess
import sys
from typing import get_args

import pytest

from infra.exposure import (
    TABLE,
    Cannot,
    Profile,
    RateLimit,
    Wishes,
    check,
    ingress_annotations,
    prerequisites,
    service_annotations,
)
from infra.exposure.row import Sets

PROFILES: tuple[Profile, ...] = get_args(Profile)
NGINX = "nginx.ingress.kubernetes.io"


def test_the_table_has_one_row_for_every_profile():
    assert set(TABLE) == set(PROFILES)


def test_the_table_is_read_without_loading_pulumi():
    program = "import sys, infra.exposure; sys.exit('pulumi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize("profile", PROFILES)
def test_a_stack_that_asks_for_nothing_gets_every_profile(profile):
    wishes = Wishes(gateway="edge" if profile == "gatewayApi" else None)
    assert check(profile, wishes) == []


@pytest.mark.parametrize("profile", PROFILES)
def test_every_annotation_is_a_complete_string(profile):
    wishes = Wishes(
        host="mcp.example.org", tls=True, rate_limit=RateLimit(requests_per_second=5), certificate="arn:aws:acm:x"
    )
    found = ingress_annotations(profile, wishes, allow_from=("10.0.0.0/8",), prefix="/war")
    found |= service_annotations(profile, wishes, name="edge", namespace="demo")
    assert all(isinstance(value, str) and value and "{timeout" not in value for value in found.values())


@pytest.mark.parametrize("profile", PROFILES)
def test_what_a_profile_cannot_do_names_a_reason_and_a_remedy(profile):
    for cell in vars(TABLE[profile]).values():
        if isinstance(cell, Cannot):
            assert cell.because
            assert cell.use


def test_nginx_carries_the_numbers_of_a_websocket_deployment():
    found = ingress_annotations("nginx", Wishes())
    assert found[f"{NGINX}/proxy-read-timeout"] == "3600"
    assert found[f"{NGINX}/proxy-send-timeout"] == "3600"
    assert found[f"{NGINX}/affinity"] == "cookie"
    assert found[f"{NGINX}/session-cookie-expires"] == "86400"
    assert found[f"{NGINX}/proxy-buffering"] == "off"
    assert found[f"{NGINX}/proxy-body-size"] == "8m"
    assert not {key for key in found if "limit" in key or "whitelist" in key or "ssl" in key}


def test_nginx_limits_rates_with_the_burst_as_a_multiple_of_the_rate():
    wishes = Wishes(rate_limit=RateLimit(requests_per_second=10, burst=25))
    found = ingress_annotations("nginx", wishes)
    assert (found[f"{NGINX}/limit-rps"], found[f"{NGINX}/limit-burst-multiplier"]) == ("10", "3")


def test_an_alb_idles_for_4000_seconds_and_keeps_clients_by_a_cookie():
    found = ingress_annotations("alb", Wishes())
    assert found["alb.ingress.kubernetes.io/load-balancer-attributes"] == "idle_timeout.timeout_seconds=4000"
    assert "stickiness.lb_cookie.duration_seconds=86400" in found["alb.ingress.kubernetes.io/target-group-attributes"]


def test_gke_services_name_their_backend_config():
    found = service_annotations("gce", Wishes(), name="edge", namespace="demo")
    assert found["cloud.google.com/backend-config"] == '{"default": "edge"}'
    assert ingress_annotations("gce", Wishes())["kubernetes.io/ingress.class"] == "gce"


def test_an_application_gateway_drains_connections_for_30_seconds():
    found = ingress_annotations("appgw", Wishes())
    assert found["appgw.ingress.kubernetes.io/connection-draining"] == "true"
    assert found["appgw.ingress.kubernetes.io/connection-draining-timeout"] == "30"
    assert found["kubernetes.io/ingress.class"] == "azure/application-gateway"


def test_an_application_gateway_needs_its_response_buffering_turned_off_by_its_owner():
    assert prerequisites("appgw", Wishes()) == [
        "turn response buffering off in the Application Gateway's global configuration"
    ]
    assert prerequisites("nginx", Wishes(tls=True)) == []


def test_haproxy_keeps_tunnels_open_as_long_as_nginx():
    found = ingress_annotations("haproxy", Wishes())
    assert found["haproxy-ingress.github.io/timeout-tunnel"] == "3600s"
    assert "maxlife 86400s" in found["haproxy-ingress.github.io/session-cookie-keywords"]


@pytest.mark.parametrize(
    ("profile", "wishes", "message"),
    [
        (
            "traefik",
            Wishes(body_size="8m"),
            (
                "exposure.bodySize: 8m: profile traefik cannot do this, because its Buffering middleware holds back "
                "whole responses too, so no event stream would pass; use the program's own limit, MCP_MAX_BODY_BYTES "
                "in the server's environment"
            ),
        ),
        (
            "haproxy",
            Wishes(rate_limit=RateLimit(requests_per_second=5, burst=9)),
            (
                "exposure.rateLimit.burst: 9: profile haproxy cannot do this, because limit-rps has a fixed burst; use "
                "exposure.rateLimit.requestsPerSecond alone"
            ),
        ),
        (
            "alb",
            Wishes(tls=True, host="mcp.example.org"),
            (
                "tls.mode: profile alb cannot do this, because an ALB serves certificates of AWS Certificate Manager, "
                "not of a Secret; use tls.mode: none, and a certificate for the host by exposure.certificateArn"
            ),
        ),
        (
            "alb",
            Wishes(idle_timeout_seconds=4001, timeout_seconds=10),
            "exposure.idleTimeoutSeconds: 4001: profile alb takes 1 to 4000; set it within",
        ),
        (
            "alb",
            Wishes(idle_timeout_seconds=600),
            (
                "exposure.timeoutSeconds: 3600 is above the load balancer's idle timeout of 600; set "
                "exposure.timeoutSeconds to at most 600, or raise exposure.idleTimeoutSeconds"
            ),
        ),
        (
            "nginx",
            Wishes(idle_timeout_seconds=4000),
            (
                "exposure.idleTimeoutSeconds: 4000: profile nginx cannot do this, because it has one timeout for "
                "silent connections, not one of the load balancer's own; use exposure.timeoutSeconds"
            ),
        ),
        (
            "nginx",
            Wishes(certificate="arn:aws:acm:eu:1"),
            (
                "exposure.certificateArn: arn:aws:acm:eu:1: profile nginx cannot do this, because it takes its "
                "certificate from a Secret; use tls.mode"
            ),
        ),
        (
            "nginx",
            Wishes(tls=True),
            "exposure.host: nothing is set, but a certificate needs a host name; set exposure.host",
        ),
        (
            "nginx",
            Wishes(admin_host="admin.example.org"),
            (
                "mongodb.admin.host: admin.example.org would be open to the world; set mongodb.admin.allowFrom to the "
                "addresses that may open it"
            ),
        ),
        (
            "gce",
            Wishes(admin_host="admin.example.org", admin_allow_from=("10.0.0.0/8",)),
            (
                "mongodb.admin.allowFrom: 10.0.0.0/8: profile gce cannot do this, because a GKE Ingress knows "
                "addresses by Cloud Armor policies only; use a Cloud Armor policy, or the profile nginx"
            ),
        ),
        (
            "gce",
            Wishes(prefixes=("/war",)),
            (
                "servers.<name>.path: /war: profile gce cannot do this, because a GKE Ingress takes no path off; use a "
                "host of its own (servers.<name>.host)"
            ),
        ),
        (
            "gce",
            Wishes(affinity_seconds=2_000_000),
            "exposure.affinitySeconds: 2000000: profile gce takes 1 to 1209600; set it within",
        ),
        (
            "appgw",
            Wishes(affinity_seconds=86400),
            (
                "exposure.affinitySeconds: 86400: profile appgw cannot do this, because its cookie lives as long as "
                "the browser session; use the default, by leaving exposure.affinitySeconds out"
            ),
        ),
        (
            "gatewayApi",
            Wishes(),
            (
                "exposure.gateway: nothing is set, but profile gatewayApi attaches its routes to a Gateway; set "
                "exposure.gateway.name and exposure.gateway.namespace"
            ),
        ),
        (
            "nodePort",
            Wishes(host="mcp.example.org"),
            (
                "exposure.host: mcp.example.org: profile nodePort cannot do this, because a node port is found by the "
                "node's address; use exposure.host with an ingress profile, e.g. nginx"
            ),
        ),
        (
            "none",
            Wishes(allow_from=("10.0.0.0/8", "192.0.2.1/32")),
            (
                "exposure.allowFrom: 10.0.0.0/8, 192.0.2.1/32: profile none cannot do this, because nothing is "
                "exposed; use an exposure.profile, e.g. nginx"
            ),
        ),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_by_field_value_and_remedy(profile, wishes, message):
    assert check(profile, wishes) == [message]


def test_all_problems_of_a_stack_are_told_at_once():
    wishes = Wishes(body_size="1m", rate_limit=RateLimit(requests_per_second=1), allow_from=("10.0.0.0/8",))
    assert len(check("gce", wishes)) == 3


def test_the_docs_page_shows_every_reason_and_remedy(repository):
    page = " ".join((repository / "docs/components/exposure.md").read_text().split())
    for profile, row in TABLE.items():
        assert f"`{profile}`" in page
        for cell in vars(row).values():
            if isinstance(cell, Cannot):
                assert cell.because in page, (profile, cell)
            if isinstance(cell, Sets):
                assert all(key in page for key in (*cell.ingress, *cell.service)), (profile, cell)
