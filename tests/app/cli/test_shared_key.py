"""Workers of one command open each other's request states."""

from app.cli._start import _with_shared_key
from app.settings import Settings


def test_workers_get_a_common_key_where_none_is_configured() -> None:
    settings = Settings.load(workers="2")
    assert settings.sealing_keys == ()
    assert len(_with_shared_key(settings).sealing_keys) == 1


def test_a_configured_key_is_left_as_it_is() -> None:
    settings = Settings.load(workers="2", request_state_keys="0123456789abcdef0123456789abcdef")
    assert _with_shared_key(settings).sealing_keys == settings.sealing_keys
