-- Sends each line of a file once (or round and round when it says so), and counts the answers by status.
-- wrk ... -s load.lua -- FILE once|around; a line is METHOD<tab>PATH<tab>HEADER: VALUE|HEADER: VALUE<tab>BODY
local requests, position, around = {}, 0, false
counts = {}

function init(arguments)
  around = arguments[2] == "around"
  for line in io.lines(arguments[1]) do
    local method, path, headers, body = line:match("^(%S+)\t(%S+)\t([^\t]*)\t(.*)$")
    local fields = {}
    for name, value in headers:gmatch("([^:|]+): ([^|]+)") do fields[name] = value end
    requests[#requests + 1] = wrk.format(method, path, fields, body ~= "" and body or nil)
  end
end

function request()
  position = position + 1
  if position > #requests then
    if not around then
      wrk.thread:stop()
      return requests[1]
    end
    position = 1
  end
  return requests[position]
end

function response(status)
  counts[status] = (counts[status] or 0) + 1
end

local threads = {}
function setup(thread) threads[#threads + 1] = thread end

function done(summary, latency)
  local seen = {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("counts") or {}) do seen[status] = (seen[status] or 0) + count end
  end
  local parts = {}
  for status, count in pairs(seen) do parts[#parts + 1] = string.format('"%d": %d', status, count) end
  io.write(string.format('RESULT {"statuses": {%s}, "seconds": %.4f, "p50_ms": %.3f, "p99_ms": %.3f}\n',
    table.concat(parts, ", "), summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
