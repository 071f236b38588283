"""What a person sees of a mistake, from the real engine: what is wrong and where, and no traceback of ours."""

import pytest
from engine.stack import laid_over, stack_config

pytestmark = pytest.mark.cluster


def test_a_misspelt_key_is_said_in_one_sentence_and_without_a_traceback(make_stack):
    servers = {"slipway:servers": {"web": {"replica": 2}}}
    done = make_stack("misspelt", laid_over(stack_config("dev"), servers)).up()

    assert not done.fine
    assert "servers.web.replica" in "\n".join(done.errors)
    assert "replicas" in "\n".join(done.errors)
    assert "Traceback" not in done.output


def test_a_refusal_of_the_api_server_names_the_object_and_the_field(make_stack, cluster):
    # 30800 can be had once in a cluster.
    port = {"port": 80, "nodePort": 30800}
    taken = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "taken", "namespace": "default"}}
    cluster.apply({**taken, "spec": {"type": "NodePort", "ports": [port], "selector": {"app": "none"}}}, "somebody")
    stack = make_stack("conflict", laid_over(stack_config("dev"), {"slipway:namespace": {"name": "conflict"}}))
    try:
        failed = stack.up()
        assert not failed.fine
        assert any("30800" in error and "web-nodeport" in error for error in failed.errors), failed.errors
    finally:
        cluster.delete(taken, "Background")
    assert stack.up().fine, "the next update goes on where the failed one ended"
    assert stack.destroy().fine


def test_a_secret_is_in_no_output_of_the_engine(make_stack):
    stack = make_stack("secretive", laid_over(stack_config("dev"), {"slipway:namespace": {"name": "secretive"}}))
    stack.set_secret("slipway:bearerTokens", "a-token-that-nobody-may-see")
    done, preview = stack.preview()
    up = stack.up()
    assert up.fine, up.errors
    assert "a-token-that-nobody-may-see" not in done.output + preview.read_text() + up.output + str(up.events)
    assert "a-token-that-nobody-may-see" not in str(stack.resources())
    assert stack.destroy().fine
