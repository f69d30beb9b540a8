"""Meta's side of templates: what its reviewers and its quality rules do to them, told by webhook."""

from typing import Any

from starlette.requests import Request

from sandbox.admin import body_of
from sandbox.orders import TemplateOrder
from sandbox.whatsapp.templates import Template
from sandbox.world import World

Change = tuple[str, dict[str, Any]]


async def template_status(request: Request, world: World) -> Any:
    """`POST /sandbox/templates/{name}/{status}`: pause, disable or approve a template in every language."""
    order = TemplateOrder(status=request.path_params["status"].upper())
    return await _change(world, request.path_params["name"], order)


async def change_template(request: Request, world: World) -> Any:
    """`POST /sandbox/templates/{name}`: a new status, category or quality, in one language or all."""
    return await _change(world, request.path_params["name"], await body_of(request, TemplateOrder))


async def forget_templates(_request: Request, world: World) -> Any:
    """`DELETE /sandbox/templates`: an account that never had any; no name is blocked."""
    gone = len(world.templates.known)
    world.templates.known.clear()
    return {"forgotten": gone}


async def _change(world: World, name: str, order: TemplateOrder) -> dict[str, Any]:
    found = [
        template
        for template in world.templates.known.values()
        if template.name == name and order.language in {None, template.language}
    ]
    if not found:
        raise KeyError(name)
    told = 0
    for template in found:
        for field, value in _apply(template, order):
            if order.tell and world.settings.whatsapp_webhook_url is not None:
                await world.whatsapp_webhooks.account_change(field, value)
                told += 1
    return {"changed": len(found), "told": told}


def _apply(template: Template, order: TemplateOrder) -> list[Change]:
    changes: list[Change] = []
    named: dict[str, Any] = {
        "message_template_id": int(template.id),
        "message_template_name": template.name,
        # Webhooks write it with a hyphen, everything else with an underscore.
        "message_template_language": template.language.replace("_", "-"),
    }
    if order.status is not None:
        template.status = order.status
        template.rejected_reason = order.reason if order.status == "REJECTED" else "NONE"
        event = {"event": order.status, "reason": order.reason, "message_template_category": template.category}
        changes.append(("message_template_status_update", named | event))
    if order.category is not None:
        template.previous_category, template.category = template.category, order.category
        moved = {"previous_category": template.previous_category, "new_category": order.category}
        changes.append(("template_category_update", named | moved))
    if order.quality is not None:
        rated = {"previous_quality_score": template.quality, "new_quality_score": order.quality}
        template.quality = order.quality
        changes.append(("message_template_quality_update", named | rated))
    return changes
