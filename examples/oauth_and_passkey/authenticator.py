"""A passkey device in software, for the tests: one key, one site, as a phone would answer.

Source: W3C Web Authentication Level 3, §6.1 (authenticator data), §6.5.4 (attestation object).
"""

import json
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
_COSE_ES256 = {1: 2, 3: -7, -1: 1}  # RFC 9053 §2.1, §7.1.1: EC2, ES256, P-256


class Authenticator:
    """Holds one key; answers for one origin, whatever it is asked."""

    def __init__(self, origin: str, host: str) -> None:
        """Make the key."""
        self.origin = origin
        self.host = host
        self.flags = PRESENT | VERIFIED
        self.count = 0
        self.credential_id = secrets.token_bytes(16)
        self._key = ec.generate_private_key(ec.SECP256R1())

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answer `navigator.credentials.create`."""
        public = self._key.public_key().public_numbers()
        cose = _COSE_ES256 | {-2: public.x.to_bytes(32), -3: public.y.to_bytes(32)}
        attested = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id
        data = self._data(self.flags | ATTESTED) + attested + cbor2.dumps(cose)
        statement = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._credential(
            clientDataJSON=self._client_data("webauthn.create", options),
            attestationObject=statement,
        )

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answer `navigator.credentials.get`."""
        self.count += 1
        data = self._data(self.flags)
        client_data = self._client_data("webauthn.get", options)
        signed = self._key.sign(data + sha256(client_data).digest(), ec.ECDSA(SHA256()))
        return self._credential(
            clientDataJSON=client_data, authenticatorData=data, signature=signed
        )

    def _data(self, flags: int) -> bytes:
        return sha256(self.host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _client_data(self, deed: str, options: dict[str, Any]) -> bytes:
        content = {"type": deed, "challenge": options["challenge"], "origin": self.origin}
        return json.dumps(content).encode()

    def _credential(self, **response: bytes) -> dict[str, Any]:
        named = _text(self.credential_id)
        return {
            "id": named,
            "rawId": named,
            "type": "public-key",
            "response": {name: _text(value) for name, value in response.items()},
            "clientExtensionResults": {},
        }


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
