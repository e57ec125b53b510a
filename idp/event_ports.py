"""What the endpoints of security events are handed: apps' keys, people's names, which addresses may be sent to."""

from collections.abc import Callable

from consent.http.api.ports import EventPorts
from idp.outbound.errors import FetchRefused
from idp.provider import Provider
from keys.verification import VerificationKeys


def event_ports(provider: Callable[[], Provider]) -> EventPorts:
    """The ports, filled from the provider that there will be."""

    async def client_keys(client_id: str) -> VerificationKeys:
        client = await provider().clients.get(client_id, provider().clock())
        return VerificationKeys(()) if client is None else client.verification_keys

    def subject_name(subject_id: str, agency_id: str) -> str:
        return provider().subjects.sub(subject_id, agency_id)

    def check_endpoint(url: str) -> str | None:
        try:
            provider().outbound.check(url)
        except FetchRefused as refused:
            return refused.told
        return None

    return EventPorts(client_keys=client_keys, subject_name=subject_name, check_endpoint=check_endpoint)
