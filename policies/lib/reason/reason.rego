# METADATA
# title: Reasons
# description: >-
#   The one shape of a reason. Its words come from the METADATA of the rule that gives it, gathered in
#   `policies/data/messages.json` by `./glovebox fix`.
package lib.reason

import rego.v1

# METADATA
# title: A reason by its code
# description: An unknown code still gives a reason, because a refusal without words helps nobody.
of(code) := {"code": code, "message": found.message, "remedy": found.remedy} if {
	found := data.data.messages[code]
} else := {"code": code, "message": "A rule of this installation does not allow it.", "remedy": "Ask an administrator."}
