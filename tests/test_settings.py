"""Settings from options, variables and TOML: what is wrong is named, with what is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest
from gateway.errors import BadParameter
from gateway.settings import load


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"port = \n", "config file"),
        (b'host = "caf\xe9"\n', "config file"),
        (b"prot = 1\n", "no setting is called 'prot'"),
        (b'port = "x"\n', "port 'x': want a whole number"),
        (b'cors_origin = ["viewer.example.org"]\n', "want * or an origin such as https://viewer"),
        (b'cors_origin = "https://viewer.example.org/"\n', "want * or an origin such as https://viewer"),
        (b"cors_origin = 5\n", "cors_origin '5': want a list of texts"),
        (b"trusted_proxy = [1]\n", "trusted_proxy '[1]': want a list of texts"),
        (b'host = ["a"]\n', "host '['a']': want a text"),
        (b'strict = "maybe"\n', "strict 'maybe': want true or false"),
    ],
)
def test_a_file_with_a_mistake_is_refused_by_name(tmp_path: Path, written: bytes, said: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_bytes(written)
    with pytest.raises(BadParameter) as caught:
        load({}, {}, file)
    assert said in caught.value.detail


@pytest.mark.parametrize(("word", "meant"), [("1", True), ("On", True), ("no", False), ("", False)])
def test_a_variable_says_true_or_false(word: str, meant: bool) -> None:
    assert load({}, {"GATEWAY_VERIFY_TRANSCODING": word}).verify_transcoding is meant


def test_a_variable_that_says_neither_is_refused() -> None:
    with pytest.raises(BadParameter, match="verify_transcoding 'ture': want true or false"):
        load({}, {"GATEWAY_VERIFY_TRANSCODING": "ture"})
