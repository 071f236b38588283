"""The page at `/map/<session>`: an empty frame, which the script fills with what `/events` tells."""

from __future__ import annotations

from html import escape

from app.web.page import head, token_form

_SWATCH = '<svg viewBox="0 0 16 16" aria-hidden="true"><circle class="swatch" cx="8" cy="8" r="6"/></svg>'


def render_map(service: str, session: str) -> str:
    """The whole page. `session` is the name of a map."""
    named = escape(session)
    body = (
        f'<header class="bar"><h1>Map <span class="title">{named}</span></h1><a id="home" href="../">'
        f"{escape(service)}</a></header>"
        f'<main><p id="connection" role="status" data-state="opening">Connecting…</p>'
        f"{token_form('Show the map', hidden=True)}"
        f'<div class="sheet">{_chart(named)}<div class="legend">{_markers()}{_layers()}'
        '<p class="source">Coasts and borders: Natural Earth.</p></div></div></main>'
        '<p id="said" role="status" class="away"></p>'
    )
    return f'{head(f"Map {session}", up="../", script="map.js")}<body class="wide">{body}</body></html>'


def _chart(named: str) -> str:
    return (
        f'<section class="chart-frame" aria-labelledby="chart-title"><h2 id="chart-title" class="away">Map</h2>'
        f'<div id="chart" data-session="{named}" tabindex="0" role="application" aria-describedby="chart-keys" '
        'aria-label="World map"></div>'
        '<p id="chart-keys" class="away">Arrow keys move the map, plus and minus zoom, 0 shows the whole world. '
        "The markers and layers on it are listed below.</p>"
        '<div class="controls"><button type="button" id="closer" aria-label="Zoom in">+</button>'
        '<button type="button" id="farther" aria-label="Zoom out">−</button>'
        '<button type="button" id="all">World</button></div>'
        '<div class="under"><output id="place"></output>'
        '<label><input type="checkbox" id="follow" checked> Follow the view that agents set</label></div></section>'
    )


def _markers() -> str:
    return (
        '<section aria-labelledby="markers-title"><h2 id="markers-title">Markers <span id="markers-count"></span></h2>'
        '<p id="markers-none">There are none yet: call <code>add_marker</code>.</p><ul id="markers"></ul>'
        f'<template id="markers-item"><li><button type="button" aria-expanded="false">{_SWATCH}<bdi></bdi>'
        "<small></small></button><p hidden></p></li></template></section>"
    )


def _layers() -> str:
    return (
        '<section aria-labelledby="layers-title"><h2 id="layers-title">Layers <span id="layers-count"></span></h2>'
        '<p id="layers-none">There are none yet: call <code>add_layer</code>.</p><ul id="layers"></ul>'
        f'<template id="layers-item"><li><label><input type="checkbox">{_SWATCH}<bdi></bdi>'
        "<small></small></label></li></template></section>"
    )
