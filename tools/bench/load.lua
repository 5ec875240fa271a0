-- SPDX-License-Identifier: MIT
-- wrk's script: one line with requests, bytes, microseconds and failed requests. With
-- an argument, a file with a target in each line, request after request is for the next.

local targets = {}
local at = 0

function init(args)
	if args[1] then
		for line in io.lines(args[1]) do
			targets[#targets + 1] = wrk.format(nil, line)
		end
		request = function()
			at = at % #targets + 1
			return targets[at]
		end
	end
end

function done(summary, latency, requests)
	local e = summary.errors
	print(string.format("load %d %d %d %d", summary.requests, summary.bytes, summary.duration,
			    e.status + e.timeout + e.connect))
end
