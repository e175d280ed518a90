"""The check that a form was sent from a page of ours."""

from __future__ import annotations

from aiohttp import web

from web import auth
from web.auth import Origin
from web.visit import CSRF_LIFE, Visit


def origins(visit: Visit) -> list[str]:
    """Our own origins: the configured ones; on loopback also the address that was asked."""
    configured = list(visit.site.settings.origins)
    if auth.local(visit.request):
        configured.append(f"{visit.request.scheme}://{visit.request.host}")
    return configured


def check_origin(visit: Visit) -> None:
    """Raises HTTPForbidden when the browser itself says that the form is another site's."""
    if auth.origin(visit.request, origins(visit)) is Origin.FOREIGN:
        raise web.HTTPForbidden


def check(visit: Visit) -> None:
    """Raises HTTPForbidden unless the browser says the form is ours or the form's own token does."""
    where = auth.origin(visit.request, origins(visit))
    if where is Origin.FOREIGN or (where is Origin.UNSAID and not _token(visit)):
        raise web.HTTPForbidden


def _token(visit: Visit) -> bool:
    sent = visit.form.get("csrf")
    if visit.session is not None:
        return auth.same(visit.session.csrf, sent)
    return visit.site.signer.fresh("csrf", sent, visit.now(), CSRF_LIFE) is not None
