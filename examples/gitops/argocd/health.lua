-- The health of an MCPAgent, for the key resource.customizations.health.mesh.mcp.io_MCPAgent of Argo CD's argocd-cm.
local health = { status = "Progressing", message = "The operator has not seen it yet." }
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "The operator has not seen its latest change yet."
  return health
end
local found = {}
for _, condition in ipairs(obj.status.conditions) do
  found[condition.type] = condition
end
for _, kind in ipairs({ "Available", "Registered" }) do
  local condition = found[kind]
  if condition ~= nil and condition.status == "False" then
    health.message = condition.message
    if found["Progressing"] == nil or found["Progressing"].status ~= "True" then
      health.status = "Degraded"
    end
    return health
  end
end
if found["Available"] ~= nil and found["Available"].status == "True" then
  return { status = "Healthy", message = found["Available"].message }
end
return health
