-- Health of Tenantry's kinds for Argo CD, from the conditions Ready, Reconciling and Stalled. What was
-- said of an older generation of the spec does not count.
local health = { status = "Progressing", message = "The operator has not looked at it yet" }
if obj.status == nil or obj.status.conditions == nil then
  return health
end

local current = {}
for _, condition in ipairs(obj.status.conditions) do
  if condition.observedGeneration == nil or condition.observedGeneration == obj.metadata.generation then
    current[condition.type] = condition
  end
end

local ready, stalled, reconciling = current.Ready, current.Stalled, current.Reconciling
if ready ~= nil then
  health.message = ready.reason .. ": " .. ready.message
end
if obj.metadata.deletionTimestamp ~= nil then
  return health
end
if ready ~= nil and ready.reason == "Suspended" then
  health.status = "Suspended"
elseif stalled ~= nil and stalled.status == "True" then
  health.status = "Degraded"
  health.message = stalled.reason .. ": " .. stalled.message
elseif reconciling ~= nil and reconciling.status == "True" then
  health.message = reconciling.reason .. ": " .. reconciling.message
elseif ready ~= nil and ready.status == "True" then
  health.status = "Healthy"
end
return health
